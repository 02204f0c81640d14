/// Takes down what a deploy that was killed has left half written: its supervisor would start it beside what is about to
/// be written, and it would wait in vain for the rest, with everybody else waiting for it.
///
/// For who has `deploy.lock`. A generation that is on its way and whole takes over, or fails, by itself.
func removeAbandonedServices(
    of app: ByteString, on target: SupervisionTarget, _ registry: borrowing Registry
) throws(Failure) {
    let state = AppState.mended(registry)
    let present = try supervisedCopies(app: app, on: target)
    var services: [Service] = []
    for (label, copy) in present {
        var count = 0
        for one in present where one.label == label { count += 1 }
        let isPartial = state.app.starting.map { $0.label == label && count < $0.copies } ?? false
        if isPartial || !state.needs(label, copy) {
            services.append(Service(app: app, label: label, copy: copy, command: [], workingDirectory: ""))
        }
    }
    if !services.isEmpty { try takeDown(services, on: target) }
}
