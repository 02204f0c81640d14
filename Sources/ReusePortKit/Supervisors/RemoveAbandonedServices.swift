/// Takes down what a deploy that was killed has left half written: its supervisor would start it beside what is about
/// to be written, and it would wait in vain for the rest, with everybody else waiting for it.
///
/// For who has `deploy.lock`. A generation that is on its way and whole takes over, or fails, by itself; and what
/// nobody is known to have left serves, perhaps, as after a boot.
func removeAbandonedServices(
    of app: ByteString, on target: SupervisionTarget, _ registry: borrowing Registry
) throws(Failure) {
    guard let label = registry.loadUnfinished() else { return }
    let state = AppState.reconciled(registry)
    let present = try supervisedCopies(app: app, on: target)
    var count = 0
    for one in present where one.label == label { count += 1 }
    var isPartial = false
    if let starting = state.app.starting, starting.label == label { isPartial = count < starting.copies }
    var services: [Service] = []
    for one in present where one.label == label && (isPartial || !state.needs(label, one.copy)) {
        services.append(Service(app: app, label: label, copy: one.copy, command: [], workingDirectory: ""))
    }
    if !services.isEmpty { try takeDown(services, on: target) }
}
