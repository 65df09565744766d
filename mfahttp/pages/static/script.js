// Niceties. Every page works without them.
"use strict";

// Copy buttons appear where there is a clipboard.
for (const button of document.querySelectorAll("[data-copy]")) {
	if (!navigator.clipboard) continue;
	button.hidden = false;
	button.addEventListener("click", async () => {
		const source = document.getElementById(button.dataset.copy);
		const items = source.querySelectorAll("li");
		const text = items.length ? Array.from(items, (li) => li.textContent.trim()).join("\n") : source.textContent.trim();
		const words = button.dataset.words ||= button.textContent;
		try {
			await navigator.clipboard.writeText(text);
			button.textContent = button.dataset.copied;
		} catch {
			button.textContent = button.dataset.notCopied;
		}
		setTimeout(() => { button.textContent = words; }, 2000);
	});
}

for (const button of document.querySelectorAll("[data-print]")) {
	button.hidden = false;
	button.addEventListener("click", () => window.print());
}

// A form is sent once: the second click of an impatient finger would carry a code
// that the first one used up.
for (const form of document.forms) {
	form.addEventListener("submit", (event) => {
		if (form.dataset.sent) event.preventDefault();
		form.dataset.sent = "yes";
		form.setAttribute("aria-busy", "true");
	});
}

// Another code can be sent after a while: the button waits for it.
for (const button of document.querySelectorAll("[data-wait]")) {
	const until = Date.now() + button.dataset.wait * 1000;
	const waiting = button.form.querySelector("[data-waiting]");
	const count = () => {
		const left = Math.ceil((until - Date.now()) / 1000);
		button.disabled = left > 0;
		waiting.hidden = left <= 0;
		const [n, unit] = left < 60 ? [left, "second"] : [Math.ceil(left / 60), "minute"];
		waiting.textContent = waiting.dataset[n === 1 ? unit : unit + "s"].replace("{n}", n);
		if (left > 0) setTimeout(count, 500);
	};
	count();
}

// What a new password has to meet is marked while it is typed: the server knows. It
// is asked once the typing pauses.
for (const field of document.querySelectorAll("[data-check]")) {
	const lines = Array.from(document.querySelectorAll("#requirements > li"));
	const mark = (line, state) => {
		line.className = state;
		line.querySelector(".unseen").textContent = state && line.parentElement.dataset[state] + " ";
		if ("rare" in line.dataset) line.hidden = state !== "missing";
	};
	let turn = 0;
	field.addEventListener("input", () => {
		const mine = ++turn;
		setTimeout(async () => {
			if (mine !== turn) return;
			let met = {};
			try {
				if (field.value && field.value.length <= 1000) { // 4096 bytes are the most that it takes
					const answer = await fetch(field.dataset.check, { method: "POST", body: new URLSearchParams({ password: field.value }), redirect: "manual" });
					if (answer.ok) met = await answer.json();
				}
			} catch { /* offline: the form says it when it is sent */ }
			if (mine !== turn) return;
			for (const line of lines) {
				const known = line.dataset.reason in met && !("late" in line.dataset);
				mark(line, known ? (met[line.dataset.reason] ? "met" : "missing") : "");
			}
			const missing = lines.filter((line) => line.className === "missing");
			const told = document.getElementById("missing"), words = told.dataset[missing.length === 1 ? "one" : "other"];
			told.textContent = missing.length ? words.replace("{n}", missing.length) : lines.some((line) => line.className) ? told.dataset.none : "";
		}, 250);
	});
}

for (const button of document.querySelectorAll("[data-show]")) {
	const field = document.getElementById(button.dataset.show);
	button.hidden = false;
	button.addEventListener("click", () => {
		const shown = field.type === "password";
		field.type = shown ? "text" : "password"; // password managers know it by its autocomplete
		button.setAttribute("aria-pressed", shown);
	});
	field.form.addEventListener("submit", () => { field.type = "password"; }); // so that no history of forms keeps it
}

// A page that the back button brings from memory may be of a session that ended.
window.addEventListener("pageshow", (event) => {
	if (event.persisted) location.reload();
});

// What failed or was done is said once, not again after a reload.
const url = new URL(location.href);
for (const name of ["error", "wait", "done"]) url.searchParams.delete(name);
if (url.href !== location.href) history.replaceState(null, "", url);
