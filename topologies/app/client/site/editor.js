"use strict";
const byId = (id) => document.getElementById(id);
const EXAMPLES = {
  python: 'import sys\n\nname = sys.stdin.readline().strip() or "world"\nprint(f"Hello, {name}!")\n',
  javascript: 'const name = require("fs").readFileSync(0, "utf8").trim() || "world";\nconsole.log(`Hello, ${name}!`);\n',
  bash: 'read -r name\necho "Hello, ${name:-world}!"\n',
  c: '#include <stdio.h>\n\nint main(void) {\n    puts("Hello, world!");\n    return 0;\n}\n',
  cpp: '#include <iostream>\n\nint main() {\n    std::cout << "Hello, world!\\n";\n}\n',
};
const source = byId("source"), language = byId("language"), run = byId("run"), status = byId("status");

async function api(path, options) {
  let answer;
  try {
    answer = await fetch("/api" + path, options);
  } catch {
    throw new Error("the server cannot be reached");
  }
  const body = await answer.json().catch(() => null);
  if (!answer.ok) throw new Error(body?.error ? `${body.error.service}: ${body.error.message}` : `error ${answer.status}`);
  return body;
}

function number() {
  const count = source.value.split("\n").length;
  byId("lines").textContent = Array.from({ length: count }, (_, i) => i + 1).join("\n");
  byId("lines").scrollTop = source.scrollTop;
}

function say(text, kind) {
  status.textContent = text;
  status.className = kind;
}

function show(result) {
  const good = result.status.id === 3;
  const cost = result.time === null ? "" : ` · ${result.time} s · ${Math.round(result.memory / 102.4) / 10} MB`;
  say(result.status.description + cost, good ? "good" : "bad");
  const parts = { Output: result.stdout, Errors: result.stderr, Compiler: result.compile_output, Message: result.message };
  byId("parts").replaceChildren(...Object.entries(parts).filter(([, text]) => text).map(([name, text]) => {
    const part = document.createElement("div"), head = document.createElement("h3"), body = document.createElement("pre");
    part.className = "part";
    head.textContent = name;
    body.textContent = text;
    part.append(head, body);
    return part;
  }));
}

async function submit() {
  if (run.disabled) return;
  run.disabled = true;
  say("Running …", "idle");
  byId("parts").replaceChildren();
  try {
    const body = { language: language.value, source: source.value, stdin: byId("stdin").value };
    show(await api("/run", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) }));
  } catch (error) {
    say(error.message, "bad");
  } finally {
    run.disabled = false;
  }
  await history();
}

async function history() {
  let runs;
  try {
    ({ runs } = await api("/history?limit=10"));
  } catch {
    return;
  }
  byId("history").replaceChildren(...runs.map((item) => {
    const row = document.createElement("li"), open = document.createElement("button"), when = document.createElement("small");
    open.type = "button";
    open.textContent = `${item.language}: ${item.status ? item.status.description : "failed"}`;
    when.textContent = new Date(item.at).toLocaleTimeString();
    open.append(when);
    open.addEventListener("click", () => {
      language.value = item.language;
      source.value = item.source;
      byId("stdin").value = item.stdin;
      number();
      if (item.status) show(item);
    });
    row.append(open);
    return row;
  }));
}

source.addEventListener("input", number);
source.addEventListener("scroll", () => { byId("lines").scrollTop = source.scrollTop; });
source.addEventListener("keydown", (event) => {
  if (event.key === "Tab" && !event.shiftKey && !event.altKey && !event.ctrlKey) {
    event.preventDefault();
    source.setRangeText("    ", source.selectionStart, source.selectionEnd, "end");
    number();
  } else if (event.key === "Escape") {
    run.focus(); // the way out of the editor for those who have no mouse
  }
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) submit();
});
run.addEventListener("click", submit);
language.addEventListener("change", () => {
  if (!source.value.trim() || Object.values(EXAMPLES).includes(source.value)) {
    source.value = EXAMPLES[language.value] ?? "";
    number();
  }
});

(async () => {
  try {
    const { languages } = await api("/languages");
    language.replaceChildren(...languages.map((item) => new Option(item.label, item.name)));
  } catch (error) {
    say(error.message, "bad");
    language.replaceChildren(...Object.keys(EXAMPLES).map((name) => new Option(name, name)));
  }
  source.value = EXAMPLES[language.value] ?? "";
  number();
  await history();
})();
