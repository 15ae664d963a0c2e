// The API's own types, by the names of its operations. `schema.d.ts` is made from functions/usage/openapi.json by
// openapi-typescript and is not checked in.
import type { components, operations } from "../schema.js";

type Json<Content> = Content extends { content: { "application/json": infer Body } } ? Body : never;

/** The JSON body that an operation takes. */
export type Body<Operation extends keyof operations> = Json<NonNullable<operations[Operation]["requestBody"]>>;

/** The JSON body of an operation's success. */
export type Success<Operation extends keyof operations> = operations[Operation]["responses"] extends {
  200: infer Ok;
}
  ? Json<Ok>
  : operations[Operation]["responses"] extends { 201: infer Created }
    ? Json<Created>
    : never;

/** Problem details (RFC 9457). */
export type Problem = components["schemas"]["Problem"];

export type Settings = Success<"getSettings">;
export type Tokens = Success<"login">;

type PerformBody = Body<"perform">;
type Filled<Member extends keyof PerformBody> = { [Name in Member]: NonNullable<PerformBody[Name]> };

/** What is to be spoken: a thought about a value, a text, or several takes of both kinds. */
export type Words = Filled<"routine_type" | "value"> | Filled<"text"> | Filled<"takes">;
export type Routine = Filled<"routine_type">["routine_type"];

/** How it is to be spoken; what is left out is as the user's settings have it. */
export type Manner = Partial<Filled<"settings_override" | "voice">>;
