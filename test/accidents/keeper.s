# The guest of the accidents, a boot sector: it keeps a name, a sector made from it and a number on its data disk (the first
# IDE disk), adds one to the number at each start, says on the serial line what is on the disk once it is there, and switches
# off when the power button is pressed. keeper-guest.ts holds it assembled:
#   as --32 -o k.o keeper.s && ld -m elf_i386 -Ttext 0x7c00 --oformat binary -o k.bin k.o && xxd -p k.bin
.code16
.globl _start
_start:
  ljmp $0, $1f
1: xorw %ax,%ax
  movw %ax,%ds
  movw %ax,%es
  movw %ax,%ss
  movw $0x7c00,%sp
  cld
  movw $0x602,%dx        # power button enable
  movw $0x100,%ax
  outw %ax,%dx
  xorw %bx,%bx
  movb $0x20,%cl
  call command
  movw $0x8000,%di
  movw $256,%cx
  rep insw
  cmpl $0x5045454b,0x8000
  je known
  movl $0x5045454b,0x8000
  rdtsc
  movl %eax,0x8004
  movl %edx,0x8008
  movl $0,0x800c
  movw $0x8200,%di
  movw $128,%cx
fill:
  imull $1664525,%eax,%eax
  addl $1013904223,%eax
  stosl
  loop fill
  movw $0x8200,%si
  movw $2048,%bx
  call write
known:
  incl 0x800c
  movw $0x8000,%si
  xorw %bx,%bx
  call write
  movw $text,%si
  call print
  movl 0x8008,%eax
  call hex
  movl 0x8004,%eax
  call hex
  movb $' ',%al
  call put
  movl 0x800c,%eax
  call hex
  movw $end,%si
  call print
idle:
  sti
  hlt
  movw $0x600,%dx
  inw %dx,%ax
  testb $1,%ah
  jz idle
  movw $0x604,%dx
  movw $0x2000,%ax
  outw %ax,%dx
  jmp idle

# command %cl at sector %bx, until data is asked for
command:
  movw $0x1f7,%dx
  call busy
  decw %dx
  movb $0xe0,%al
  outb %al,%dx
  movw $0x1f2,%dx
  movb $1,%al
  outb %al,%dx
  incw %dx
  movb %bl,%al
  outb %al,%dx
  incw %dx
  movb %bh,%al
  outb %al,%dx
  incw %dx
  xorb %al,%al
  outb %al,%dx
  movw $0x1f7,%dx
  movb %cl,%al
  outb %al,%dx
wait:
  inb %dx,%al
  testb $0x80,%al
  jnz wait
  testb $8,%al
  jz wait
  movw $0x1f0,%dx
  ret
busy:
  inb %dx,%al
  testb $0x80,%al
  jnz busy
  ret
write:
  movb $0x30,%cl
  call command
  movw $256,%cx
  rep outsw
  movw $0x1f7,%dx
  call busy
  movb $0xe7,%al
  outb %al,%dx
  call busy
  ret
hex:
  movb $8,%cl
digit:
  roll $4,%eax
  pushl %eax
  andb $15,%al
  addb $'0',%al
  cmpb $'9',%al
  jbe 1f
  addb $39,%al
1: call put
  popl %eax
  decb %cl
  jnz digit
  ret
print:
  lodsb
  testb %al,%al
  jz 1f
  call put
  jmp print
1: ret
put:
  pushw %ax
  movw $0x3fd,%dx
2: inb %dx,%al
  testb $0x20,%al
  jz 2b
  popw %ax
  movw $0x3f8,%dx
  outb %al,%dx
  ret
text: .asciz "keeper "
end: .asciz " end\r\n"
