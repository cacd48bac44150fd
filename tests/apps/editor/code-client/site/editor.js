const field = (name) => document.getElementById(name);
field("run").addEventListener("click", async () => {
  const body = { code: field("code").value, languageId: Number(field("language").value), stdin: "" };
  const answer = await fetch("/api/execute", { method: "POST", body: JSON.stringify(body) });
  const { result, error } = await answer.json();
  field("output").textContent = error ?? `${result.status}\n${result.output ?? result.stderr ?? ""}`;
});
