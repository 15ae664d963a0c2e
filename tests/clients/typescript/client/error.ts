// Why a request failed, in one type: the API's own problem details, or what went wrong on the way to it.
import type { Problem } from "./types.js";

/** Codes that no server sends: nobody answered, an answer broke off, or something between answered in its own words. */
export type ClientCode = "unreachable" | "incomplete" | "unexpected_response";

export class ApiError extends Error {
  override readonly name = "ApiError";

  constructor(
    /** The HTTP status; 0 where there was none. */
    readonly status: number,
    /** Machine-readable; switch on it. */
    readonly code: Problem["code"] | ClientCode,
    /** One sentence for the person in front of the app. */
    readonly detail: string,
    /** Every bad field of the request. */
    readonly errors: Problem["errors"] = [],
    /** Seconds after which the same request may succeed; undefined if the server did not say. */
    readonly retryAfter?: number,
    /** Leads to the request in the server's logs. */
    readonly requestId?: string,
  ) {
    super(detail);
  }

  static async from(response: Response): Promise<ApiError> {
    const seconds = Number.parseInt(response.headers.get("retry-after") ?? "", 10);
    const retryAfter = Number.isNaN(seconds) ? undefined : seconds;
    const problem = await response.json().catch(() => undefined);
    if (isProblem(problem)) {
      const { status, code, detail, errors, request_id } = problem;
      return new ApiError(status, code, detail, errors, retryAfter, request_id);
    }
    // The gateway's own refusals are not problem details.
    const detail = `The service did not answer as expected (${response.status}). Try again in a moment.`;
    return new ApiError(response.status, "unexpected_response", detail, [], retryAfter);
  }

  static unreachable(): ApiError {
    return new ApiError(0, "unreachable", "The service cannot be reached. Check the connection and try again.");
  }

  static incomplete(): ApiError {
    return new ApiError(0, "incomplete", "The answer broke off before its end. Try again.");
  }
}

function isProblem(body: unknown): body is Problem {
  return typeof body === "object" && body !== null && "code" in body && "detail" in body;
}
