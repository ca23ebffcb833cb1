// Whose turn it is at an address that judges: so many questions are in flight, so many wait, and each source has a part of
// both at most. Those that wait go by sources in turn, each in its own order, so that nobody alone keeps all others
// waiting until they are late. Control thread.
//
//   enter ─► flies, or queued of its source ─► landed: the next source that has one waiting and may have one more in flight

interface Source<Question> {
  flights: number;
  readonly queue: Set<Question>;
}

export class JudgeQueue<Question extends { readonly source: string }> {
  flights = 0;
  queued = 0;
  /** Those with a question, the one whose turn is next first. */
  private readonly sources = new Map<string, Source<Question>>();
  private readonly flightsMax: number;
  private readonly queueMax: number;
  private readonly sourceFlightsMax: number;
  private readonly sourceQuestionsMax: number;

  /** @param sourceQuestionsMax in flight and queued */
  constructor(flightsMax: number, queueMax: number, sourceFlightsMax: number, sourceQuestionsMax: number) {
    this.flightsMax = flightsMax;
    this.queueMax = queueMax;
    this.sourceFlightsMax = sourceFlightsMax;
    this.sourceQuestionsMax = sourceQuestionsMax;
  }

  get isEmpty(): boolean {
    return this.sources.size === 0;
  }

  /** @returns `flies`: it counts as in flight until it has landed */
  enter(question: Question): 'flies' | 'queued' | 'refused' | 'refused_source' {
    const source = this.sources.get(question.source) ?? { flights: 0, queue: new Set() };
    if (source.flights + source.queue.size >= this.sourceQuestionsMax) return 'refused_source';
    const flies = this.flights < this.flightsMax && source.flights < this.sourceFlightsMax;
    if (!flies && this.queued >= this.queueMax) return 'refused';
    this.sources.set(question.source, source);
    if (!flies) {
      source.queue.add(question);
      this.queued++;
      return 'queued';
    }
    this.flights++;
    source.flights++;
    return 'flies';
  }

  /** Nobody waits for it any more. One that is in flight still has to land. */
  leave(question: Question): void {
    const source = this.sources.get(question.source);
    if (source?.queue.delete(question) !== true) return;
    this.queued--;
    this.forget(question.source, source);
  }

  /** @returns one that is in flight from now on */
  landed(question: Question): Question | undefined {
    const source = this.sources.get(question.source);
    if (source === undefined) return undefined;
    this.flights--;
    source.flights--;
    this.forget(question.source, source);
    return this.next();
  }

  private next(): Question | undefined {
    // Of those before the one that is found each has a question in flight, so they are few.
    for (const [key, source] of this.sources) {
      const [question] = source.queue;
      if (question === undefined || source.flights >= this.sourceFlightsMax) continue;
      source.queue.delete(question);
      this.queued--;
      this.flights++;
      source.flights++;
      this.sources.delete(key);
      this.sources.set(key, source);
      return question;
    }
    return undefined;
  }

  private forget(key: string, source: Source<Question>): void {
    if (source.flights === 0 && source.queue.size === 0) this.sources.delete(key);
  }
}
