// How well a call is heard, from the browser's own statistics.

// What has been counted so far.
async function counted(connection) {
  const now = { at: performance.now(), received: 0, lost: 0, sent: 0, jitter: null, trip: null, level: null };
  for (const part of (await connection.getStats()).values()) {
    if (part.type === "inbound-rtp" && part.kind === "audio") {
      now.received = part.packetsReceived ?? 0;
      now.lost = part.packetsLost ?? 0;
      now.jitter = part.jitter ?? null;
      now.level = part.audioLevel ?? null;
    }
    if (part.type === "outbound-rtp" && part.kind === "audio") now.sent = part.packetsSent ?? 0;
    if (part.type === "remote-inbound-rtp" && part.kind === "audio") now.trip = part.roundTripTime ?? now.trip;
    if (part.type === "candidate-pair" && part.nominated && now.trip === null) now.trip = part.currentRoundTripTime ?? null;
  }
  return now;
}

// Figures of the time since the last look, and a word for the worst of them.
export async function look(connection, before) {
  const now = await counted(connection);
  if (!before) return { now, told: null };
  const received = now.received - before.received;
  const lost = Math.max(0, now.lost - before.lost);
  const loss = received + lost ? lost / (received + lost) : 0;
  const told = { trip: now.trip, jitter: now.jitter, loss, level: now.level, silent: received === 0, word: "good" };
  if (told.silent) told.word = "silent";
  else if (loss > 0.05) told.word = "lossy";
  else if ((now.trip ?? 0) > 0.4) told.word = "slow";
  else if ((now.jitter ?? 0) > 0.05) told.word = "uneven";
  return { now, told };
}
