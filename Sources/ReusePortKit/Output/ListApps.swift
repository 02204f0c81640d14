/// A line for each generation.
func list(_ apps: [(name: ByteString, state: AppState)], on screen: Screen) -> ByteString {
    var sheet = Sheet()
    func add(_ cells: [Cell]) { sheet.add(cells, group: 0) }
    let isExplained = apps.contains { $0.state.app.generations.contains { $0.outcome != .none } }
    let head = ["APP", "GENERATION", "STATE", "COPIES", "SINCE"] + (isExplained ? ["REASON"] : []) as [ByteString]
    add(head.map { Cell($0, .heading) })
    for (name, state) in apps {
        for generation in state.app.generations {
            let running = state.running(generation.id).count
            add([
                Cell(name), Cell(generation.label), state.app.shown(generation),
                Cell("\(running)/\(generation.copies)", generation.ink(ofRunning: running)),
                Cell(ago(generation.since)), Cell(generation.outcome.description),
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

extension GenerationRecord {
    /// The colour for how many of its copies run: a live generation should have them all.
    func ink(ofRunning count: Int) -> Ink { state == .live && count < copies ? .bad : .plain }
}

func listAsJSON(_ apps: [(name: ByteString, state: AppState)]) -> ByteString {
    let items = apps.map { (name, state) -> ByteString in
        let generations = state.app.generations.map { generation in
            object([
                ("generation", json(generation.label)), ("state", json(generation.state.name)),
                ("suspended", json(state.app.suspended == generation.id)), ("copies", json(generation.copies)),
                ("running", json(state.running(generation.id).count)), ("since", json(generation.since)),
                ("reason", json(generation.outcome.description)),
            ])
        }
        return object([("app", json(name)), ("generations", array(generations))])
    }
    return "\(array(items))\n"
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
