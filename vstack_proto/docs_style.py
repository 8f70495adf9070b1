"""How the page of the OpenAPI document looks, and the policy that lets a browser apply that and nothing else."""

from __future__ import annotations

import base64
import hashlib

STYLE = """
:root{color-scheme:light dark;
--page:#ffffff;--block:#f1f3f6;--text:#1b1f24;--quiet:#4b535c;--link:#0b4fc4;--line:#c9ced6}
@media (prefers-color-scheme:dark){
:root{--page:#14171b;--block:#20252c;--text:#e7e9ec;--quiet:#b3bac2;--link:#90b8ff;--line:#3d454f}}
*{box-sizing:border-box}
html{scroll-padding-top:1rem}
body{margin:0;background:var(--page);color:var(--text);font:1rem/1.55 system-ui,sans-serif;overflow-wrap:anywhere}
a{color:var(--link)}
:focus-visible{outline:3px solid var(--link);outline-offset:2px}
:target{outline:2px solid var(--link);outline-offset:.4rem}
#main:target,#main:focus{outline:none}
.skip{position:absolute;left:.5rem;top:-4rem;padding:.5rem 1rem;background:var(--page);z-index:1}
.skip:focus{top:.5rem}
header,nav,main,footer{padding:0 1rem}
h1{margin:1rem 0 .25rem;line-height:1.2}
h2{margin:2.5rem 0 .75rem;border-bottom:1px solid var(--line);line-height:1.3}
h3{margin:2rem 0 .5rem;font-size:1.1rem;line-height:1.4}
h4{margin:1rem 0 .35rem;font-size:1rem}
p,ul,pre,table{margin:.5rem 0}
p,li{max-width:72ch}
small,.quiet{color:var(--quiet)}
code,pre{font:.875rem/1.5 ui-monospace,monospace}
code{background:var(--block);padding:.05em .25em;border-radius:3px}
pre{background:var(--block);padding:.75rem;border-radius:6px;overflow-x:auto;overflow-wrap:normal;max-height:32rem}
pre code{padding:0}
.copy code{user-select:all;-webkit-user-select:all}
.method{display:inline-block;flex:none;min-width:3.2rem;font-weight:700}
table{border-collapse:collapse;width:100%;table-layout:fixed;font-size:.9375rem}
thead th:first-child{width:5rem}
.fields thead th:first-child{width:13rem}
.fields thead th:nth-child(2):not(:last-child){width:9rem}
th,td{text-align:left;vertical-align:top;padding:.35rem .6rem .35rem 0;border-bottom:1px solid var(--line)}
th[scope=row]{font-weight:600}
td p,td ul{margin:0}
td ul{padding-left:1.1rem}
nav ul{list-style:none;margin:0;padding:0}
nav li{padding:.15rem 0;font-size:.9375rem}
nav a{display:flex;min-height:1.5rem;text-decoration:none}
nav a:hover,nav a:focus{text-decoration:underline}
nav h2{font-size:1rem;margin:1rem 0 .25rem;border:0}
details{margin:.5rem 0}
summary{cursor:pointer;padding:.25rem 0}
.schema{border:1px solid var(--line);border-radius:6px;padding:.25rem .75rem}
footer{margin:3rem 0 1rem}
@media (max-width:40rem){
.fields,.fields tbody,.answers,.answers tbody{display:block}
.fields tr,.answers tr{display:block;padding:.4rem 0;border-bottom:1px solid var(--line)}
.fields thead,.answers thead{position:absolute;left:-100vw}
.fields th,.fields td,.answers th,.answers td{display:block;border:0;padding:.05rem 0}}
@media (max-width:63.99rem){
nav{max-height:60vh;overflow-y:auto;border-bottom:1px solid var(--line)}}
@media (min-width:64rem){
body{display:grid;grid-template-columns:22rem minmax(0,60rem);grid-template-rows:auto 1fr auto;column-gap:2rem}
header,footer{grid-column:1/-1}
nav{position:sticky;top:0;max-height:100vh;overflow-y:auto;align-self:start;padding-bottom:2rem}}
"""

_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode("ascii")

# The style is allowed by its digest: nothing that might slip into the page can bring its own, let alone a script.
META_POLICY = f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none'"

# A browser heeds frame-ancestors in the header only (CSP 3, section 3.3).
DOCS_POLICY = f"{META_POLICY}; frame-ancestors 'none'"
