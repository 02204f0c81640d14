/// `promote`: gives a canary all new connections, and lets the generation before it retire; or another part of them.
func promote(_ request: VerbRequest, _ directory: ByteString) throws(Failure) {
    let (registry, percent) = (try openApp(request, directory), request.percent ?? 100)
    let (live, before) = try registry.change {
        (state: AppState) throws(Failure) -> (GenerationRecord, GenerationRecord) in
        guard let live = state.app.live, let before = state.beforeCanary else {
            throw Failure(
                .negative, "promote", "app \(registry.app)", "no canary of it serves beside another generation",
                remedy: "deploy with --canary \(percent == 100 ? 5 : percent) --watch TIME")
        }
        try state.share(percent)
        return (live, before)
    }
    let report = HandoffView(request, live, registry).reporter
    report(.shares(percent, before.label))
    if percent < 100 { return }
    // Whoever deployed it retires the one before, unless that was killed.
    let deadline = Deadline(after: .seconds(5))
    var copies = AppState.reconciled(registry).running(before.id)
    while !copies.isEmpty, copies.allSatisfy({ $0.state == .live }) {
        if deadline.hasPassed {
            let ending = Ending(
                drain: .accepted(settle: nil), turn: .seconds(60), keepsFinishing: true,
                outcome: .replaced(by: live.label))
            try endCopies(copies, of: before.id, ending, in: registry, report)
            return
        }
        awaitChange(of: registry, until: deadline) { false }
        copies = AppState.reconciled(registry).running(before.id)
    }
}
