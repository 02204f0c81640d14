/// How often a copy has crashed in a row, without running for a minute in between.
struct Crashes: Sendable, Equatable {
    var count: Int
    /// Seconds since 1970 of the first.
    var since: UInt64
    /// Seconds since 1970 of the last.
    var last: UInt64

    /// How long to wait before the copy is started again: 1, 2, 4 … 30 seconds.
    var pause: Milliseconds { .seconds(count < 6 ? 1 << UInt64(max(0, count - 1)) : 30) }

    /// Adds a crash. `start` is when the crashed copy was registered. If it failed before that, this is still its
    /// predecessor's time, so the start cannot be earlier than the end of the predecessor's pause.
    static func after(_ former: Crashes?, start: UInt64, now: UInt64) -> Crashes {
        guard let former else { return Crashes(count: 1, since: now, last: now) }
        let began = max(start, former.last + former.pause.count / 1000)
        // A copy that has run for a minute is not in a crash loop.
        if now >= began + 60 { return Crashes(count: 1, since: now, last: now) }
        return Crashes(count: min(former.count + 1, 1 << 20), since: former.since, last: now)
    }
}
