#!/bin/sh
read -r uptime _ </proc/uptime
printf 'Content-Type: text/html; charset=utf-8\r\n\r\n'
cat <<END
<!doctype html>
<title>$(cat /run/web/title)</title>
<h1>$(cat /run/web/title)</h1>
<p>$(cat /run/web/motd)</p>
<ul>
<li>version <b id="version">$(cat /etc/collective/version)</b></li>
<li>started <b id="starts">$(cat /data/starts)</b> times</li>
<li>up for <b id="uptime">$uptime</b> seconds</li>
</ul>
END
