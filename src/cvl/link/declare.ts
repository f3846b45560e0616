/** `var` statements and component declarations of one object: what they add to what it inherits. */
import type { Layout, Member, Members, ObjectClass, Slot } from "./object-class.ts";
import { hasInterface, isSameObject } from "./object-class.ts";
import { hintNearest } from "../nearest.ts";
import { INTERFACE, PREDEFINED_FILE, RESERVED_NAMES } from "./predefined.ts";
import { quote } from "../report.ts";
import { reportUnknownClass, spanOf, type Scope } from "./scope.ts";
import type { ComponentSyntax, NameSyntax, ObjectSyntax, VariableSyntax } from "../parse/syntax.ts";
import type { Place } from "../tree.ts";

export interface Declarations {
  readonly layout: Layout;
  readonly members: Members;
  readonly isOpen: boolean;
}

/** The layout and components of `owner`, whose base is complete. What adds nothing shares the base's tables. */
export function declareStatements(owner: ObjectClass, syntax: ObjectSyntax, scope: Scope): Declarations {
  const draft = new DeclarationDraft(owner, scope);
  for (const statement of syntax.statements) {
    if (statement.kind === "variable") draft.declareVariables(statement);
    else if (statement.kind === "component") draft.declareComponents(statement);
  }
  scope.budget.spend(syntax.statements.length);
  return { layout: draft.layout, members: draft.members, isOpen: draft.isOpen };
}

interface WritableLayout extends Layout {
  readonly slots: Slot[];
  readonly index: Map<string, number>;
  readonly interfaces: string[];
}

interface WritableMembers extends Members {
  readonly list: Member[];
  readonly index: Map<string, number>;
}

const ATTRIBUTES = ["required", "sensitive"];

class DeclarationDraft {
  isOpen: boolean;
  private ownLayout: WritableLayout | undefined;
  private ownMembers: WritableMembers | undefined;
  /** Names this body declares, with where. */
  private readonly declared = new Map<string, NameSyntax>();
  private readonly owner: ObjectClass;
  private readonly scope: Scope;
  private readonly inheritedLayout: Layout;
  private readonly inheritedMembers: Members;

  constructor(owner: ObjectClass, scope: Scope) {
    this.owner = owner;
    this.scope = scope;
    this.isOpen = owner.isOpen;
    this.inheritedLayout = owner.base?.layout ?? owner.layout;
    this.inheritedMembers = owner.base?.members ?? owner.members;
  }

  get layout(): Layout {
    return this.ownLayout ?? this.inheritedLayout;
  }

  get members(): Members {
    return this.ownMembers ?? this.inheritedMembers;
  }

  declareVariables({ attributes, names }: VariableSyntax): void {
    const known = new Set<string>();
    for (const attribute of attributes) {
      if (ATTRIBUTES.includes(attribute.text)) {
        known.add(attribute.text);
      } else {
        this.scope.reporter.report(
          "CVL_UNKNOWN_ATTRIBUTE",
          `a parameter has no attribute ${quote(attribute.text)}`,
          spanOf(this.scope.file, attribute),
          { hint: hintNearest(attribute.text, ATTRIBUTES) },
        );
      }
    }
    for (const name of names) this.declareVariable(name, known.has("required"), known.has("sensitive"));
  }

  private declareVariable(name: NameSyntax, required: boolean, sensitive: boolean): void {
    if (!this.claim(name)) return;
    const { layout } = this;
    const position = layout.index.get(name.text);
    if (position !== undefined) {
      this.addAttributes(position, required, sensitive);
      return;
    }
    const inherited = this.findComponent(name.text);
    if (inherited !== undefined) {
      this.reportTaken(name, "an inherited component", inherited);
      return;
    }
    this.addSlot({
      name: name.text,
      required,
      sensitive,
      assignable: this.owner.kind === "interface",
      declared: this.place(name),
    });
  }

  private addAttributes(position: number, required: boolean, sensitive: boolean): void {
    const slot = this.layout.slots[position];
    if (slot === undefined || ((slot.required || !required) && (slot.sensitive || !sensitive))) return;
    this.writableLayout().slots[position] = {
      ...slot,
      required: slot.required || required,
      sensitive: slot.sensitive || sensitive,
    };
  }

  declareComponents({ class: written, names }: ComponentSyntax): void {
    const { file } = this.scope;
    const span = spanOf(file, written);
    const [name = ""] = written.names;
    const found = written.names.length === 1 ? this.scope.find(name) : undefined;
    if (found === undefined) {
      this.isOpen = true;
      if (written.names.length > 1 || !this.scope.has(name))
        reportUnknownClass(written.names.join("."), span, this.scope);
    } else if (!this.mayHold(found)) {
      this.reportKind(found, written.names[0] ?? "", span);
      return;
    }
    for (const component of names) this.declareComponent(component, found);
  }

  private mayHold({ kind }: ObjectClass): boolean {
    if (kind === "unknown" || this.owner.kind === "unknown") return true;
    if (this.owner.kind === "machine") return kind === "interface";
    return this.owner.kind === "network" && (kind === "machine" || kind === "network");
  }

  private reportKind({ kind }: ObjectClass, name: string, span: ReturnType<typeof spanOf>): void {
    const message =
      this.owner.kind === "machine"
        ? `a VM appliance holds \`Interface\` components only, not ${quote(name)}`
        : kind === "interface"
          ? "only VM appliances hold `Interface` components"
          : `${quote(name)} is too general for a component`;
    const hint =
      this.owner.kind === "machine"
        ? "appliances are components of a network, which extends VANAppliance"
        : "a network's components are VMAppliance, VANAppliance or objects that extend them";
    this.scope.reporter.report("CVL_COMPONENT_KIND", message, span, { hint });
  }

  private declareComponent(name: NameSyntax, found: ObjectClass | undefined): void {
    if (!this.claim(name)) return;
    const parameter = this.layout.index.get(name.text);
    if (parameter !== undefined) {
      this.reportTaken(name, "an inherited parameter", this.layout.slots[parameter]?.declared);
      return;
    }
    if (found === undefined) return;
    if (this.owner.kind === "machine" || found.kind === "interface") this.declareInterface(name, found);
    else this.declareMember(name, found);
  }

  private declareInterface(name: NameSyntax, found: ObjectClass): void {
    if (hasInterface(this.layout, name.text)) {
      this.reportTaken(name, "an inherited interface", this.findComponent(name.text));
      return;
    }
    if (found.name !== INTERFACE) return;
    this.writableLayout().interfaces.push(name.text);
    for (const slot of found.layout.slots) {
      this.addSlot({ ...slot, name: `${name.text}.${slot.name}`, declared: this.place(name) });
    }
  }

  private declareMember(name: NameSyntax, found: ObjectClass): void {
    const member: Member = { name: name.text, class: found, declared: this.place(name) };
    const position = this.members.index.get(name.text);
    if (position === undefined) {
      const members = this.writableMembers();
      members.index.set(name.text, members.list.length);
      members.list.push(member);
      this.scope.budget.spend(1);
      return;
    }
    const inherited = this.members.list[position];
    if (inherited !== undefined && !mayReplace(inherited.class, found))
      this.reportRedeclaration(name, inherited, found);
    else this.writableMembers().list[position] = member;
  }

  private reportRedeclaration(name: NameSyntax, inherited: Member, found: ObjectClass): void {
    this.scope.reporter.report(
      "CVL_REDECLARATION",
      `${quote(name.text)} is inherited as ${quote(inherited.class.name)}, which ${quote(found.name)} does not derive from`,
      spanOf(this.scope.file, name),
      {
        hint: "redeclare it with an object that extends the inherited one, or with another version of it",
        related: [{ message: "inherited from here", span: placeSpan(inherited.declared) }],
      },
    );
  }

  /** False, and reported, when the name may not be declared (again) in this body. */
  private claim(name: NameSyntax): boolean {
    const { reporter, file } = this.scope;
    const first = this.declared.get(name.text);
    if (first !== undefined) {
      reporter.report("CVL_DUPLICATE_NAME", `the name ${quote(name.text)} is taken`, spanOf(file, name), {
        hint: "choose another name",
        related: [{ message: "first here", span: spanOf(file, first) }],
      });
      return false;
    }
    if (RESERVED_NAMES.has(name.text)) {
      reporter.report("CVL_RESERVED_NAME", `the name ${quote(name.text)} is reserved`, spanOf(file, name), {
        hint: "it is kept for IPv6; choose another name",
      });
      this.isOpen = true;
      return false;
    }
    this.declared.set(name.text, name);
    return true;
  }

  private reportTaken(name: NameSyntax, by: string, declared: Place | undefined): void {
    this.scope.reporter.report(
      "CVL_DUPLICATE_NAME",
      `the name ${quote(name.text)} is taken by ${by}`,
      spanOf(this.scope.file, name),
      {
        hint: "choose another name",
        related:
          declared === undefined || declared.file === PREDEFINED_FILE
            ? []
            : [{ message: "declared here", span: placeSpan(declared) }],
      },
    );
  }

  private findComponent(name: string): Place | undefined {
    const position = this.members.index.get(name);
    if (position !== undefined) return this.members.list[position]?.declared;
    const first = this.layout.index.get(`${name}.mac`);
    return first === undefined ? undefined : this.layout.slots[first]?.declared;
  }

  private addSlot(slot: Slot): void {
    const layout = this.writableLayout();
    layout.index.set(slot.name, layout.slots.length);
    layout.slots.push(slot);
    this.scope.budget.spend(1);
  }

  private writableLayout(): WritableLayout {
    if (this.ownLayout === undefined) {
      const { slots, index, interfaces } = this.inheritedLayout;
      this.scope.budget.spend(slots.length);
      this.ownLayout = { slots: [...slots], index: new Map(index), interfaces: [...interfaces] };
    }
    return this.ownLayout;
  }

  private writableMembers(): WritableMembers {
    if (this.ownMembers === undefined) {
      const { list, index } = this.inheritedMembers;
      this.scope.budget.spend(list.length);
      this.ownMembers = { list: [...list], index: new Map(index) };
    }
    return this.ownMembers;
  }

  private place({ start, end }: NameSyntax): Place {
    return { file: this.scope.file, start, end };
  }
}

/** By a class that derives from the inherited one, or from another version of it. */
function mayReplace(inherited: ObjectClass, replacement: ObjectClass): boolean {
  return (
    inherited.isOpen ||
    replacement.isOpen ||
    replacement.chain.some((ancestor) => isSameObject(ancestor, inherited))
  );
}

function placeSpan({ file, start, end }: Place): ReturnType<typeof spanOf> {
  return spanOf(file, { start, end });
}
