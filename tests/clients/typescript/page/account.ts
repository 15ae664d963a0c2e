// Registering and signing in: two tabs, one form each.
import type { NewVisions } from "../client/index.js";
import { act, button, element, html } from "./dom.js";

export function setUpAccount(client: NewVisions, onSignedIn: () => void) {
  const forms = [
    {
      tab: button("tab-register"),
      panel: html("panel-register"),
      form: element("register", HTMLFormElement),
      send: (field: (name: string) => string) =>
        client.register({
          activationCode: field("activationCode"),
          username: field("username"),
          email: field("email"),
          password: field("password"),
        }),
    },
    {
      tab: button("tab-login"),
      panel: html("panel-login"),
      form: element("login", HTMLFormElement),
      send: (field: (name: string) => string) =>
        client.login({ username: field("username"), password: field("password") }),
    },
  ];

  const select = (chosen: HTMLButtonElement) => {
    for (const { tab, panel } of forms) {
      const isChosen = tab === chosen;
      tab.setAttribute("aria-selected", String(isChosen));
      tab.tabIndex = isChosen ? 0 : -1;
      panel.hidden = !isChosen;
    }
  };
  for (const [at, { tab, form, send }] of forms.entries()) {
    tab.addEventListener("click", () => select(tab));
    tab.addEventListener("keydown", ({ key }) => {
      const other = forms[1 - at]?.tab;
      if (other && (key === "ArrowLeft" || key === "ArrowRight")) {
        select(other);
        other.focus();
      }
    });
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const fields = new FormData(form);
      void act(form, form.querySelector("button"), async () => {
        await send((name) => String(fields.get(name) ?? ""));
        form.reset();
        onSignedIn();
      });
    });
  }

  return {
    show() {
      // The link that `cargo local` prints carries a code behind the #, which no server is sent.
      const code = new URLSearchParams(location.hash.slice(1)).get("code");
      const field = element("register", HTMLFormElement).elements.namedItem("activationCode");
      if (code && field instanceof HTMLInputElement) {
        field.value = code;
      }
    },
  };
}
