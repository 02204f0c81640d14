/// How often a copy's place has crashed without having run for a while in between.
struct Crashes: Sendable, Equatable {
    /// In a row.
    var count: Int
    /// Seconds since 1970 of the first.
    var since: UInt64
    /// Seconds since 1970 of the last.
    var last: UInt64

    /// How long to wait before the copy is started again: 1, 2, 4 … 30 seconds.
    var pause: Milliseconds { .seconds(count < 6 ? 1 << UInt64(max(0, count - 1)) : 30) }

    /// One more. `start` is when the copy that has crashed was registered, if it was: of one that failed before that,
    /// the record is still its predecessor's, and it cannot have started before that one's pause was over.
    static func after(_ former: Crashes?, start: UInt64, now: UInt64) -> Crashes {
        guard let former else { return Crashes(count: 1, since: now, last: now) }
        let began = max(start, former.last + former.pause.count / 1000)
        // What has run for a minute is not in a loop.
        if now >= began + 60 { return Crashes(count: 1, since: now, last: now) }
        return Crashes(count: min(former.count + 1, 1 << 20), since: former.since, last: now)
    }
}
