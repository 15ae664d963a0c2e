export class ApiError extends Error {
    status;
    code;
    detail;
    errors;
    retryAfter;
    requestId;
    name = "ApiError";
    constructor(
    /** The HTTP status; 0 where there was none. */
    status, 
    /** Machine-readable; switch on it. */
    code, 
    /** One sentence for the person in front of the app. */
    detail, 
    /** Every bad field of the request. */
    errors = [], 
    /** Seconds after which the same request may succeed; undefined if the server did not say. */
    retryAfter, 
    /** Leads to the request in the server's logs. */
    requestId) {
        super(detail);
        this.status = status;
        this.code = code;
        this.detail = detail;
        this.errors = errors;
        this.retryAfter = retryAfter;
        this.requestId = requestId;
    }
    static async from(response) {
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
    static unreachable() {
        return new ApiError(0, "unreachable", "The service cannot be reached. Check the connection and try again.");
    }
    static incomplete() {
        return new ApiError(0, "incomplete", "The answer broke off before its end. Try again.");
    }
}
function isProblem(body) {
    return typeof body === "object" && body !== null && "code" in body && "detail" in body;
}
