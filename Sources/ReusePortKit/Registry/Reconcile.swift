import CLinux

extension AppState {
    /// Reads the registry's files and corrects them by the kernel: which processes live, and which bank is live.
    ///
    /// Any invocation may have been killed after any of its writes. A cutover switches the kernel before it writes the
    /// file, so where the two differ the kernel is right.
    static func reconciled(_ registry: Registry) -> AppState {
        // Readers take no lock, so the files may change while they are read. They are read again until the app's file
        // stays the same: otherwise a generation whose helper finished in between would look orphaned.
        var state: AppState
        var tries = 8
        repeat {
            state = AppState(reading: registry)
            state.markTheDead()
            tries -= 1
        } while registry.appText != state.writtenApp && tries > 0
        state.addLostGenerations(registry)
        state.followKernel()
        state.closeGenerations()
        state.prune()
        return state
    }

    /// Forgets coordinators that have gone, and marks copies whose process has gone: as ended, or as abandoned as long as
    /// one of their listeners is open. That counts for those that had ended as well, because others who have a listener
    /// can listen again.
    private func markTheDead() {
        // All copies of a deploy have one coordinator, which is looked up once.
        var known: (helper: ProcessIdentity, isAlive: Bool)?
        for index in copies.indices {
            if let helper = copies[index].helper {
                if known?.helper != helper { known = (helper, helper.isAlive()) }
                if known?.isAlive == false { copies[index].helper = nil }
            }
            guard copies[index].state != .ended, !copies[index].process.isAlive() else { continue }
            if copies[index].reason == nil { copies[index].reason = likelyReason(copies[index]) }
            copies[index].state = .ended
        }
        // What the kernel does not say is not taken for "none": the copy has not been seen to end.
        let dead = copies.filter { $0.state == .ended }
        let open = try? openListeners(of: dead).map { $0.identity.cookie }
        // Copies may share a listener.
        let living = copies.filter { $0.state != .ended }.flatMap { $0.listeners.map { $0.identity.cookie } }
        for index in copies.indices where copies[index].state == .ended {
            let isLeft = copies[index].listeners.contains { listener in
                let cookie = listener.identity.cookie
                return open.map { $0.contains(cookie) && !living.contains(cookie) }
                    ?? (copies[index].written?.state != .ended)
            }
            if isLeft { copies[index].state = .abandoned }
        }
    }

    /// Why a copy has ended, as far as its record and its control group tell.
    private func likelyReason(_ copy: CopyRecord) -> EndReason {
        if let memory = outOfMemory(of: copy) { return EndReason(.outOfMemory(memory)) }
        let wasTold =
            copy.state == .retired || copy.state == .stopping || app.generation(copy.generation)?.state == .retiring
        return wasTold ? .toldToStop : .unknown
    }

    /// Adds generations that only the records of their copies name, because the app's own file was lost.
    private func addLostGenerations(_ registry: Registry) {
        if app.group == nil { app.group = copies.last { $0.state != .ended && $0.group != nil }?.group?.app }
        for copy in copies where app.generation(copy.generation) == nil {
            app.lastID = max(app.lastID, copy.generation)
            // If the app's file exists, the generation is about to be added to it, and a deployment with this id may be
            // that of an earlier one that failed.
            let deployments = writtenApp == nil ? registry.loadDeployments() : []
            let label = deployments.first { $0.generation == copy.generation && !$0.label.isEmpty }?.label
            app.generations.append(
                GenerationRecord(
                    id: copy.generation, label: label ?? ByteString(decimal: copy.generation),
                    copies: 1 + (copies(of: copy.generation).map { $0.copy }.max() ?? 0), bank: .first,
                    state: copy.state == .live ? .live : copy.state == .retired ? .retired : .starting,
                    since: copy.since))
        }
        app.generations = app.generations.ordered { $0.id < $1.id }
    }

    /// Records a cutover that only the kernel knows.
    private func followKernel() {
        switch app.steering?.liveBank {
        case .bank(let bank)?:
            guard let live = app.live, live.bank != bank else { return }
            // The cutover of a new generation, or the way back to the one before.
            let next = app.generations.last {
                ($0.state == .starting || $0.state == .retiring) && $0.bank == bank && !running($0.id).isEmpty
            }
            if let next { makeLive(next.id) }
        case .lost?: app.steering = nil
        case .unknown?, nil: break
        }
    }

    /// Corrects the states of generations whose copies or coordinators have gone.
    private func closeGenerations() {
        var live: UInt64?
        for generation in app.generations.reversed() {
            let running = running(generation.id)
            switch generation.state {
            case .starting:
                // A living coordinator writes the state itself.
                if copies(of: generation.id).contains(where: { $0.helper != nil }) { continue }
                // The coordinator was killed between the first rename(2) of Unix sockets and the file.
                if isPublished(generation.id) {
                    makeLive(generation.id)
                    live = generation.id
                    continue
                }
                let failed = copies(of: generation.id).first { $0.reason != nil }
                let outcome: GenerationOutcome =
                    failed.map { .failed(copy: $0.copy, $0.reason ?? .unknown) } ?? .copiesEnded
                close(generation.id, .failed, running.isEmpty ? outcome : .orphaned)
            case .live:
                // Two cannot be live: the younger one took over.
                if live != nil {
                    app.change(generation.id) { $0.state = .retiring }
                } else {
                    live = generation.id
                }
            case .retiring, .retired:
                if running.isEmpty { close(generation.id, .ended, generation.outcome) }
            case .failed, .ended:
                break
            }
        }
    }

    /// Forgets generations that have ended, except the last five, which `state` still shows, and the last that has served,
    /// to which `rollback` leads.
    private func prune() {
        var past = 0
        let last = app.generations.last { $0.state == .ended && $0.hasServed }
        for generation in app.generations.reversed() {
            guard generation.state == .ended || generation.state == .failed, running(generation.id).isEmpty else {
                continue
            }
            past += 1
            if past > 5, generation.id != last?.id { app.generations.removeAll { $0.id == generation.id } }
        }
    }
}

extension GenerationRecord {
    /// Whether it has had connections, and gets no more. Why it has ended may not be recorded yet.
    var hasServed: Bool { state == .retiring || state == .retired || state == .ended }
}
