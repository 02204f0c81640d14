/// A line for each app, with what matters: who serves where, and what is not well. `isWide` adds memory and time of the
/// processors.
func list(_ apps: [(name: ByteString, state: AppState)], isWide: Bool, on screen: Screen) -> ByteString {
    var sheet = Sheet()
    var head = ["APP", "GENERATION", "COPIES", "ADDRESS", "USER", "UP", "CRASHES"] as [ByteString]
    if isWide { head += ["MEMORY", "CPU"] }
    sheet.add((head + ["NOTE"]).map { Cell($0, .heading) }, group: 0)
    // An app whose first deploy was refused has no generation.
    for (name, state) in apps where !state.app.generations.isEmpty {
        guard let live = state.app.live else {
            sheet.add(
                [Cell(name), Cell("-"), Cell("0", .bad)] + head[3...].map { _ in Cell("-") } + [state.note(of: name)],
                group: 0)
            continue
        }
        let copies = state.running(live.id)
        let present = state.present(live)
        let crashes = state.crashes(live)
        var cells = [
            Cell(name), Cell(live.label), Cell("\(shown(present))/\(live.copies)", live.ink(ofRunning: present)),
            Cell(shownAddress(copies.isEmpty ? state.copies(of: live.id) : copies)), Cell(shownUser(copies)),
            Cell(present == 0 ? "-" : ago(live.since)),
            Cell(ByteString(decimal: crashes), crashes == 0 ? .plain : .bad),
        ]
        if isWide {
            let usage = ProcessUsage(of: copies.map { $0.process })
            cells += [Cell(shownMemory(usage.memory)), Cell("\(usage.seconds)s")]
        }
        sheet.add(cells + [state.note(of: name)], group: 0)
    }
    return sheet.text(on: screen)
}

extension AppState {
    /// The copies of the live generation that have gone although nobody told them to.
    fileprivate func fallen(_ live: GenerationRecord) -> [CopyRecord] {
        copies(of: live.id).filter { $0.hasGone && $0.copy < live.copies && $0.reason?.cause != .toldToStop }
    }

    /// Supervisors tell of crashes. Of a copy without one it is known only that it has gone.
    @inline(never)
    fileprivate func crashes(_ live: GenerationRecord) -> Int {
        let fallen = fallen(live).filter { $0.supervisor == nil }.count
        return running(live.id).reduce(fallen) { $0 + ($1.crashes?.count ?? 0) }
    }

    /// Says what is not well and what would help; empty if all is well.
    fileprivate func note(of name: ByteString) -> Cell {
        if let starting = app.starting { return Cell("\(starting.label) is starting", .waiting) }
        guard let live = app.live else {
            guard let last = app.generations.max(by: { ($0.since, $0.id) < ($1.since, $1.id) }) else { return Cell("") }
            return Cell(
                "generation \(last.label) \(last.state.name) \(ago(last.since)) ago: \(last.outcome.description)", .bad)
        }
        let fallen = fallen(live)
        if let gone = fallen.first, let present = present(live), present < live.copies {
            let reason = gone.reason?.description ?? "it has gone, and nobody told it to stop"
            var remedy: ByteString =
                gone.supervisor == nil
                ? "; scale \(name) \(live.copies) starts it again" : "; its supervisor starts it again"
            if present == 0 {
                if app.generations.contains(where: { $0.id != live.id && $0.hasServed }) {
                    remedy.append("; after a bad deploy put the old code back and migrate \(name), or rollback \(name)")
                }
                remedy.append("; see logs \(name)")
            }
            let others: ByteString = fallen.count == 1 ? "" : " and \(fallen.count - 1) more"
            return Cell("copy \(gone.copy)\(others): \(reason)\(remedy)", .bad)
        }
        if app.suspended == live.id { return Cell("suspended: connections wait until resume", .waiting) }
        if let copy = copies(of: live.id).first(where: { $0.state == .live && $0.startedAs != nil }) {
            return Cell("copy \(copy.copy): \(copy.succession); restart \(name) starts it anew", .waiting)
        }
        if let old = app.generations.first(where: { $0.isDraining }) {
            return Cell("generation \(old.label) still listens", .waiting)
        }
        let finishing = app.generations.filter { $0.state == .retired || $0.state == .retiring }
        if finishing.isEmpty { return Cell("") }
        return Cell("generation \(joined(finishing.map { $0.label }, by: ", ")) finishes", .waiting)
    }
}

extension AppState {
    /// Why a generation failed or ended, or what is not well with the live one.
    fileprivate func reason(of generation: GenerationRecord, _ name: ByteString) -> ByteString {
        generation.state == .live ? note(of: name).text : generation.outcome.description
    }
}

/// Where clients find a listener, in the words of `--socket`: `*:80` for both families.
func shown(_ listener: Listener) -> ByteString {
    if let path = listener.publicPath { return path }
    let address = listener.identity.address
    if case .ipv6(0, 0, let port, _) = address, listener.identity.isDualStack { return "*:\(port)" }
    return address.description
}

/// `0.0.0.0:80 +1`: the first address, and how many there are besides.
private func shownAddress(_ copies: [CopyRecord]) -> ByteString {
    guard let copy = copies.first, let first = copy.listeners.first else { return "-" }
    let address = shown(first)
    return copy.listeners.count == 1 ? address : "\(address) +\(copy.listeners.count - 1)"
}

func shownUser(_ copies: [CopyRecord]) -> ByteString {
    guard let copy = copies.first, let id = try? userID(of: copy.process.pid) else { return "-" }
    return (try? account(id: id))?.name ?? ByteString(decimal: id)
}

/// In MiB or GiB, as it need not be exact.
private func shownMemory(_ bytes: UInt64) -> ByteString {
    bytes < 10 << 30 ? "\((bytes + 1 << 19) >> 20)M" : "\(bytes >> 30)G"
}

/// A line for each generation.
func listGenerations(_ apps: [(name: ByteString, state: AppState)], on screen: Screen) -> ByteString {
    var sheet = Sheet()
    func add(_ cells: [Cell]) { sheet.add(cells, group: 0) }
    let isExplained = apps.contains { app in
        app.state.app.generations.contains { !app.state.reason(of: $0, app.name).isEmpty }
    }
    let head = ["APP", "GENERATION", "STATE", "COPIES", "SINCE"] + (isExplained ? ["REASON"] : []) as [ByteString]
    add(head.map { Cell($0, .heading) })
    for (name, state) in apps {
        for generation in state.app.generations {
            let running = state.present(generation)
            add([
                Cell(name), Cell(generation.label), state.app.shown(generation),
                Cell("\(shown(running))/\(generation.copies)", generation.ink(ofRunning: running)),
                Cell("\(ago(generation.since))\(generation.isOver ? " ago" : "")"),
                Cell(state.reason(of: generation, name)),
            ])
        }
    }
    return sheet.text(on: screen)
}

extension AppRecord {
    /// The state of a generation in a word, which is "suspended" for a live one whose copies stand still.
    func shown(_ generation: GenerationRecord, _ addition: ByteString = "") -> Cell {
        if generation.state == .live, suspended == generation.id { return Cell("suspended\(addition)", .waiting) }
        let ink: Ink
        switch generation.state {
        case .live: ink = .good
        case .starting, .retiring: ink = .waiting
        case .retired: ink = .plain
        case .failed: ink = .bad
        case .ended: ink = .past
        }
        return Cell("\(generation.state.name)\(addition)", ink)
    }
}

extension AppState {
    /// How many copies of a generation there are: of the live one those that serve, of others those that have not ended.
    /// Nil if the kernel does not say which listen.
    func present(_ generation: GenerationRecord) -> Int? {
        generation.state == .live ? try? serving(generation.id) : running(generation.id).count
    }
}

func shown(_ count: Int?) -> ByteString { count.map { ByteString(decimal: $0) } ?? "?" }

extension GenerationRecord {
    /// Whether the time of its last change is that of its end.
    fileprivate var isOver: Bool { state == .ended || state == .failed }

    /// The colour for how many of its copies run: a live generation should have them all.
    func ink(ofRunning count: Int?) -> Ink {
        guard let count else { return .waiting }
        return state == .live && count < copies ? .bad : .plain
    }
}

func listAsJSON(_ apps: [(name: ByteString, state: AppState)]) -> ByteString {
    let items = apps.filter { !$0.state.app.generations.isEmpty }.map { (name, state) -> ByteString in
        let generations = state.app.generations.map { generation in
            var object = JSONObject()
            object.add("generation", generation.label)
            object.add("state", generation.state.name)
            object.add("suspended", state.app.suspended == generation.id)
            object.add("copies", generation.copies)
            object.add("running", state.present(generation))
            object.add("since", generation.since)
            object.add("reason", generation.outcome.description)
            return object.text
        }
        var object = JSONObject()
        object.add("app", name)
        object.add("note", state.note(of: name).text)
        if let live = state.app.live {
            let copies = state.running(live.id)
            object.add("addresses", value: array(copies.first?.listeners.map(shown) ?? []))
            object.add("user", shownUser(copies))
            object.add("crashes", state.crashes(live))
        }
        object.add("generations", value: array(of: generations))
        return object.text
    }
    return "\(array(of: items))\n"
}

/// How long ago a moment was: `5s`, `3m`, `2h`, `4d`.
func ago(_ since: UInt64) -> ByteString {
    let now = secondsSince1970()
    let seconds = now > since ? now - since : 0
    switch seconds {
    case ..<120: return "\(seconds)s"
    case ..<7200: return "\(seconds / 60)m"
    case ..<172_800: return "\(seconds / 3600)h"
    default: return "\(seconds / 86400)d"
    }
}
