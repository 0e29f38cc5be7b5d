export interface Answer {
  status: number;
  retryAfterSeconds: number;
}

/** Reads HTTP/1.1 answers with a Content-Length out of the pieces of one connection, one after the other. */
export function createAnswerReader(onAnswer: (answer: Answer) => void): (chunk: Buffer) => void {
  let head = '';
  let bodyLeft = 0;
  let answer: Answer | null = null;
  return (chunk) => {
    let at = 0;
    while (at < chunk.length) {
      if (answer === null) {
        const before = head.length;
        head += chunk.toString('latin1', at);
        const end = head.indexOf('\r\n\r\n');
        if (end < 0) return;
        at += end + 4 - before;
        answer = {
          status: Number(head.slice(9, 12)),
          retryAfterSeconds: Number(/\r\nretry-after: *(\d+)/i.exec(head.slice(0, end))?.[1] ?? 0),
        };
        bodyLeft = Number(/\r\ncontent-length: *(\d+)/i.exec(head.slice(0, end))?.[1] ?? 0);
        head = '';
      }
      const taken = Math.min(bodyLeft, chunk.length - at);
      bodyLeft -= taken;
      at += taken;
      if (bodyLeft === 0) {
        const whole = answer;
        answer = null;
        onAnswer(whole);
      }
    }
  };
}
