// Makes a todo with the client that openapi-typescript generates from the description.
import createClient from "openapi-fetch";
import type { paths } from "./api.js";

declare const process: { argv: string[] };

const [, , baseUrl, token] = process.argv;
const client = createClient<paths>({ baseUrl, headers: { authorization: `Bearer ${token}` } });
const { data, error } = await client.POST("/api/v1/todos", {
  body: { title: "By a generated client", priority: "PRIORITY_HIGH" },
});
if (error) throw new Error(error.detail);
console.log(JSON.stringify({ title: data.title, priority: data.priority, completed: data.completed }));
