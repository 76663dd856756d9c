// Stands in for `next/server` where Next.js is not installed. fal's adapter takes one thing of it, `NextResponse.json`,
// for its own refusals; Next.js's class is the platform's Response with cookies.
exports.NextResponse = class NextResponse extends Response {}
