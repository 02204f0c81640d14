import CLinux

/// Everything the registry knows of an app at one moment, under its lock.
final class AppState {
    let app: AppRecord
    var copies: [CopyRecord]
    /// What the app's file says, so that only changes are written; nil if there is none, or it is damaged.
    private(set) var writtenApp: ByteString?

    /// Reads the files without correcting them.
    convenience init(reading registry: Registry) {
        self.init(readingAppOf: registry)
        copies = registry.loadCopies()
    }

    /// Reads the app's own file, without those of its copies: enough to find the maps.
    init(readingAppOf registry: Registry) {
        let text = registry.appText
        let known = text.flatMap { AppRecord(text: $0) }
        writtenApp = known == nil ? nil : text
        app = known ?? AppRecord()
        copies = []
    }

    /// A state that is in no file yet.
    init(app: AppRecord, copies: [CopyRecord]) {
        self.app = app
        self.copies = copies
        writtenApp = nil
    }

    func copies(of generation: UInt64) -> [CopyRecord] { copies.filter { $0.generation == generation } }

    /// The copies of a generation that have not ended.
    func running(_ generation: UInt64) -> [CopyRecord] {
        copies.filter { $0.generation == generation && $0.state != .ended }
    }

    /// Copies the record with the same file name, if the registry still has one.
    func known(_ record: CopyRecord) -> CopyRecord? { copies.first { $0.fileName == record.fileName }?.copied }

    func replace(_ record: CopyRecord) {
        if let index = copies.firstIndex(where: { $0.fileName == record.fileName }) {
            copies[index] = record
        } else {
            copies.append(record)
        }
    }

    /// Marks a copy as ended, if it is still known.
    func end(_ copy: CopyRecord, _ reason: EndReason) {
        guard let record = known(copy) else { return }
        (record.state, record.reason) = (.ended, reason)
        replace(record)
    }

    /// Marks a generation as live, and the one before it as retiring.
    func makeLive(_ id: UInt64) {
        let now = secondsSince1970()
        if let old = app.live { app.change(old.id) { ($0.state, $0.since) = (.retiring, now) } }
        app.change(id) { ($0.state, $0.since) = (.live, now) }
        if app.suspended != id { app.suspended = nil }
        app.suspending = nil
        for index in copies.indices where copies[index].generation == id {
            // Copies may still be recorded as starting if only the kernel knows of the cutover.
            if copies[index].state == .ready || copies[index].state == .starting { copies[index].state = .live }
        }
    }

    /// Marks a generation as retired, failed or ended.
    func close(_ id: UInt64, _ state: GenerationRecord.State, _ outcome: GenerationOutcome) {
        app.change(id) { ($0.state, $0.since, $0.outcome) = (state, secondsSince1970(), outcome) }
    }

    /// Writes what has changed, and removes the files of copies whose generation is forgotten.
    func store(in registry: Registry) throws(Failure) {
        // This comes first: the paths of copies that are forgotten below are found through their records.
        reconcilePaths()
        copies.removeAll { copy in
            if app.generation(copy.generation) != nil { return false }
            registry.remove(copy)
            return true
        }
        for copy in copies where copy.text != copy.written?.text {
            // If it could not be taken out, the next one who may tries again.
            if copy.state == .abandoned, copy.isNew, !withdrawAbandoned(copy) { copy.state = .stopping }
            try registry.store(copy)
        }
        if removeUnusedGroups(registry) { app.group = nil }
        let text = app.text
        if text != writtenApp { try registry.store(app) }
        writtenApp = text
    }
}

extension AppState {
    /// Directs no more connections to what is left of a copy; false if that failed.
    private func withdrawAbandoned(_ copy: CopyRecord) -> Bool {
        guard copy.generation == app.live?.id else { return true }
        return (try? withdraw([copy], as: .abandoned)) != nil
    }
}

extension Registry {
    /// Takes the app's lock, lets `body` change the state, and writes the changes; writes nothing if `body` fails.
    func change<Result>(
        _ body: (AppState) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        let lock = try lock()
        let state = AppState.reconciled(self)
        let result = try body(state)
        try state.store(in: self)
        lock.release(closing: ())
        return result
    }
}

/// time(2).
func secondsSince1970() -> UInt64 { UInt64(time(nil)) }

/// The local time as `2026-11-30 04:12:33 +0100`.
func timestamp(_ seconds: UInt64) -> ByteString {
    var moment = time_t(seconds)
    var parts = tm()
    localtime_r(&moment, &parts)
    return withUnsafeTemporaryAllocation(of: CChar.self, capacity: 64) { buffer in
        _ = strftime(buffer.baseAddress!, 64, "%F %T %z", &parts)
        return ByteString(cString: buffer.baseAddress!)
    }
}
