/** A collector of traces that reads everything and keeps nothing: `bun mock-collector.ts <port>`. */
Bun.serve({
  hostname: "127.0.0.1",
  port: Number(process.argv[2] ?? 4318),
  fetch: async (request) => {
    await request.arrayBuffer();
    return Response.json({});
  },
});
