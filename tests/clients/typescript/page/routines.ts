// What a spectator may think of, and how the performer enters it.
import type { Routine, Words } from "../client/index.js";
import { chips, chosen, element, Hint, html } from "./dom.js";

/** Every routine of the API, and the performer's own text. */
const ROUTINES = {
  cards: { name: "Card", label: "" },
  numbers: { name: "Number", label: "Number" },
  "star-signs": { name: "Star sign", label: "" },
  names: { name: "Name", label: "Name" },
  movies: { name: "Film", label: "Film" },
  years: { name: "Year", label: "Year" },
  phobias: { name: "Fear", label: "What they are afraid of" },
  custom: { name: "Anything", label: "What they think of" },
  text: { name: "Own words", label: "" },
} satisfies Record<Routine | "text", { name: string; label: string }>;

const SUITS = [["Hearts", "♥ Hearts"], ["Diamonds", "♦ Diamonds"], ["Clubs", "♣ Clubs"], ["Spades", "♠ Spades"]] as const;
const RANKS = ["A", "2", "3", "4", "5", "6", "7", "8", "9", "10", "J", "Q", "K"];
const SIGNS = [
  "Aries", "Taurus", "Gemini", "Cancer", "Leo", "Virgo", "Libra", "Scorpio", "Sagittarius", "Capricorn", "Aquarius", "Pisces",
];

/** Fills the form. `onOpened` is called when a routine is chosen. */
export function setUpRoutines(onOpened: () => void) {
  const routines = html("routines");
  chips(routines, "routine", Object.entries(ROUTINES).map(([routine, { name }]) => [routine, name] as const));
  chips(html("suits"), "suit", SUITS);
  chips(html("ranks"), "rank", RANKS.map((rank) => [rank, rank] as const));
  element("sign", HTMLSelectElement).append(...SIGNS.map((sign) => new Option(sign)));
  routines.addEventListener("change", () => {
    const routine = chosen("routine") as Routine | "text";
    const kind = routine === "cards" ? "card" : routine === "star-signs" ? "sign" : routine;
    html("opened").hidden = false;
    html("card-value").hidden = kind !== "card";
    html("sign-value").hidden = kind !== "sign";
    html("own-text").hidden = kind !== "text";
    html("text-value").hidden = kind === "card" || kind === "sign" || kind === "text";
    html("value-label").textContent = ROUTINES[routine].label;
    const value = element("value", HTMLInputElement);
    value.value = "";
    value.inputMode = routine === "numbers" || routine === "years" ? "numeric" : "text";
    onOpened();
  });
}

/** What was entered. What is missing is said in a sentence. */
export function enteredWords(): Words {
  const routine = chosen("routine") as Routine | "text";
  if (routine === "text") {
    return { text: required(element("text", HTMLTextAreaElement).value, "Write what you say.") };
  }
  if (routine === "cards") {
    const suit = required(chosen("suit"), "Choose the card's suit.");
    return { routine_type: routine, value: `${required(chosen("rank"), "Choose the card's rank.")} of ${suit}` };
  }
  if (routine === "star-signs") {
    return { routine_type: routine, value: element("sign", HTMLSelectElement).value };
  }
  return { routine_type: routine, value: required(element("value", HTMLInputElement).value, "Enter what they think of.") };
}

function required(value: string, otherwise: string): string {
  if (value.trim() === "") {
    throw new Hint(otherwise);
  }
  return value;
}
