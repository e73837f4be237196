/** What runs once before all tests and after them. */
export default async () => {}
