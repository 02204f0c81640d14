import CLinux

/// Everything the registry knows of an app at one moment, under its lock.
struct AppState {
    var app: AppRecord
    var copies: [CopyRecord]
    /// The records as the files have them, so that only changes are written.
    private(set) var writtenApp: AppRecord?
    private(set) var writtenCopies: [CopyRecord]

    /// Reads the files without correcting them.
    init(reading registry: borrowing Registry) {
        writtenApp = registry.loadApp()
        writtenCopies = registry.loadCopies()
        app = writtenApp ?? AppRecord()
        copies = writtenCopies
    }

    /// Reads the app's own file, without those of its copies: enough to find the maps.
    init(readingAppOf registry: borrowing Registry) {
        writtenApp = registry.loadApp()
        writtenCopies = []
        app = writtenApp ?? AppRecord()
        copies = []
    }

    /// A state that is in no file yet.
    init(app: AppRecord, copies: [CopyRecord]) {
        self.app = app
        self.copies = copies
        writtenApp = nil
        writtenCopies = []
    }

    func copies(of generation: UInt64) -> [CopyRecord] { copies.filter { $0.generation == generation } }

    /// The copies of a generation that have not ended.
    func running(_ generation: UInt64) -> [CopyRecord] {
        copies.filter { $0.generation == generation && $0.state != .ended }
    }

    /// The record with the same file name, if the registry still has one.
    func known(_ record: CopyRecord) -> CopyRecord? { copies.first { $0.fileName == record.fileName } }

    mutating func replace(_ record: CopyRecord) {
        if let index = copies.firstIndex(where: { $0.fileName == record.fileName }) {
            copies[index] = record
        } else {
            copies.append(record)
        }
    }

    /// Marks a copy as ended, if it is still known.
    mutating func end(_ copy: CopyRecord, _ reason: EndReason) {
        guard var record = known(copy) else { return }
        (record.state, record.reason) = (.ended, reason)
        replace(record)
    }

    /// Marks a generation as live, and the one before it as retiring.
    mutating func makeLive(_ id: UInt64) {
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
    mutating func close(_ id: UInt64, _ state: GenerationRecord.State, _ outcome: GenerationOutcome) {
        app.change(id) { ($0.state, $0.since, $0.outcome) = (state, secondsSince1970(), outcome) }
    }

    /// Writes what has changed, and removes the files of copies whose generation is forgotten.
    mutating func store(in registry: borrowing Registry) throws(Failure) {
        // This comes first: the paths of copies that are forgotten below are found through their records.
        reconcilePaths()
        copies.removeAll { copy in
            if app.generation(copy.generation) != nil { return false }
            registry.remove(copy)
            return true
        }
        for copy in copies where !writtenCopies.contains(copy) { try registry.store(copy) }
        if app != writtenApp { try registry.store(app) }
        if removeUnusedGroups(registry) {
            app.group = nil
            try registry.store(app)
        }
        (writtenApp, writtenCopies) = (app, copies)
    }
}

extension Registry {
    /// Takes the app's lock, lets `body` change the state, and writes the changes; writes nothing if `body` fails.
    borrowing func change<Result>(
        _ body: (inout AppState) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        let lock = try lock()
        var state = AppState.reconciled(self)
        let result = try body(&state)
        try state.store(in: self)
        lock.release(closing: ())
        return result
    }
}

/// time(2).
func secondsSince1970() -> UInt64 { UInt64(time(nil)) }
