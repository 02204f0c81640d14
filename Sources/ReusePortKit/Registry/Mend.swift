import CLinux

/// What is known of an app at one moment, under its lock.
struct AppState {
    var app: AppRecord
    var copies: [CopyRecord]
    /// As they are in the files.
    private var writtenApp: AppRecord?
    private var writtenCopies: [CopyRecord]

    func copies(of generation: UInt64) -> [CopyRecord] { copies.filter { $0.generation == generation } }

    /// Those that run.
    func running(_ generation: UInt64) -> [CopyRecord] {
        copies.filter { $0.generation == generation && $0.state != .ended }
    }

    mutating func replace(_ record: CopyRecord) {
        if let index = copies.firstIndex(where: { $0.fileName == record.fileName }) {
            copies[index] = record
        } else {
            copies.append(record)
        }
    }
}

extension AppState {
    /// Of nothing that has been written yet.
    init(app: AppRecord, copies: [CopyRecord]) {
        self.init(app: app, copies: copies, writtenApp: nil, writtenCopies: [])
    }

    /// What the registry says, put right by what the kernel says: which processes live, and which bank is live.
    ///
    /// Any invocation may have been killed after any of its writes. The switch in the kernel comes first and the file
    /// after it, so where they differ the kernel is right.
    static func mended(_ registry: borrowing Registry) -> AppState {
        // Who only looks has no lock, and must not see one thing before a change and another after it: a generation
        // whose helper has done its work and gone meanwhile would be taken for one that nobody waits for.
        var state: AppState
        var tries = 8
        repeat {
            let app = registry.loadApp()
            let copies = registry.loadCopies()
            state = AppState(app: app ?? AppRecord(), copies: copies, writtenApp: app, writtenCopies: copies)
            state.forgetTheDead(registry)
            tries -= 1
        } while registry.loadApp() != state.writtenApp && tries > 0
        state.believeTheSelector()
        state.settleGenerations()
        return state
    }

    /// What the registry says of the app, without its copies: enough to find the maps.
    static func ofApp(_ registry: borrowing Registry) -> AppState {
        let app = registry.loadApp()
        return AppState(app: app ?? AppRecord(), copies: [], writtenApp: app, writtenCopies: [])
    }

    private mutating func forgetTheDead(_ registry: borrowing Registry) {
        // Most often they all have the same.
        var known: (helper: ProcessIdentity, isAlive: Bool)?
        for index in copies.indices {
            if let helper = copies[index].helper {
                if known?.helper != helper { known = (helper, helper.isAlive()) }
                if known?.isAlive == false { copies[index].helper = nil }
            }
            if copies[index].state != .ended, !copies[index].process.isAlive() {
                if copies[index].reason.isEmpty {
                    let wasTold =
                        copies[index].state == .retired || copies[index].state == .stopping
                        || app.generation(copies[index].generation)?.state == .retiring
                    copies[index].reason =
                        outOfMemory(of: copies[index])?.description ?? (wasTold ? toldToStop : "it has ended")
                }
                copies[index].state = .ended
            }
        }
        // The app's file was lost: what the copies say of their generations is all there is.
        if app.group == nil { app.group = copies.last { $0.state != .ended && $0.group != nil }?.group?.app }
        for copy in copies where app.generation(copy.generation) == nil {
            app.sequence = max(app.sequence, copy.generation)
            // Only then: else somebody is about to write what it is, and the record may be of another one that failed.
            let known = writtenApp == nil ? registry.loadDeployments() : []
            let label = known.first { $0.generation == copy.generation && !$0.label.isEmpty }?.label
            app.generations.append(
                GenerationRecord(
                    order: copy.generation, label: label ?? ByteString(decimal: copy.generation),
                    copies: 1 + (copies(of: copy.generation).map { $0.copy }.max() ?? 0), bank: .first,
                    state: copy.state == .live ? .live : copy.state == .retired ? .retired : .starting,
                    since: copy.since))
        }
        app.generations = app.generations.ordered { $0.order < $1.order }
    }

    private mutating func believeTheSelector() {
        guard case .twoBanks(let id, _)? = app.steering else { return }
        do throws(Errno) {
            let word = try SelectorMap.open(id: id).load()
            guard word.liveCount > 0, let live = app.live, live.bank != word.liveBank else { return }
            // Killed between the store and the file.
            if let next = app.starting, next.bank == word.liveBank { makeLive(next.order) }
        } catch {
            // Without rights to open it nothing can be changed either. Gone: the last member of the groups has closed.
            if error == .noEntry || error.rawValue == ESTALE { app.steering = nil }
        }
    }

    private mutating func settleGenerations() {
        var live: UInt64?
        for generation in app.generations.reversed() {
            let running = running(generation.order)
            switch generation.state {
            case .starting:
                // A helper that lives knows more, and is about to write it down.
                if copies(of: generation.order).contains(where: { $0.helper != nil }) { continue }
                // Killed between the first rename(2) of Unix sockets and the file.
                if isPublished(generation.order) {
                    makeLive(generation.order)
                    live = generation.order
                    continue
                }
                let reason = copies(of: generation.order).first { !$0.reason.isEmpty }?.reason
                finish(
                    generation.order, .failed,
                    running.isEmpty ? reason ?? "its copies have ended" : "nobody waits for its readiness any more")
            case .live:
                // Two cannot be: the younger one took over.
                if live != nil {
                    app.change(generation.order) { $0.state = .retiring }
                } else {
                    live = generation.order
                }
            case .retiring, .retired:
                if running.isEmpty { finish(generation.order, .ended, generation.reason) }
            case .failed, .ended:
                break
            }
        }
        prune()
    }

    mutating func makeLive(_ order: UInt64) {
        let now = secondsSince1970()
        if let old = app.live { app.change(old.order) { ($0.state, $0.since) = (.retiring, now) } }
        app.change(order) { ($0.state, $0.since) = (.live, now) }
        if app.suspended != order { app.suspended = nil }
        app.suspending = nil
        for index in copies.indices where copies[index].generation == order {
            // That they were ready may not have been written down, if this is known from the kernel only.
            if copies[index].state == .ready || copies[index].state == .starting { copies[index].state = .live }
        }
    }

    mutating func finish(_ order: UInt64, _ ending: GenerationRecord.State, _ reason: ByteString) {
        app.change(order) { ($0.state, $0.since, $0.reason) = (ending, secondsSince1970(), reason) }
    }

    /// Keeps what runs, what is live, and the last few that have ended, for people to look at.
    private mutating func prune() {
        var past = 0
        for generation in app.generations.reversed() {
            guard generation.state == .ended || generation.state == .failed, running(generation.order).isEmpty else {
                continue
            }
            past += 1
            if past > 5 { app.generations.removeAll { $0.order == generation.order } }
        }
    }

    /// Writes what has changed; copies of generations that are forgotten go.
    mutating func store(in registry: borrowing Registry) throws(Failure) {
        // While those that are about to be forgotten are known.
        mendPaths()
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
    /// Changes what is known of the app, under its lock, and writes down what has changed; nothing if it fails.
    borrowing func change(_ body: (inout AppState) throws(Failure) -> Void) throws(Failure) {
        let lock = try lock()
        var state = AppState.mended(self)
        try body(&state)
        try state.store(in: self)
        lock.release(closing: ())
    }
}

/// The reason of a copy that has ended because it was to.
var toldToStop: ByteString { "it was told to stop" }

/// time(2).
func secondsSince1970() -> UInt64 { UInt64(time(nil)) }
