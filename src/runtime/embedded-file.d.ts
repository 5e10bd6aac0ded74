/** Files that the compiled executable carries. */
declare module "*/coffer-nats" {
  const path: string;
  export default path;
}

declare module "*.sql" {
  const text: string;
  export default text;
}
