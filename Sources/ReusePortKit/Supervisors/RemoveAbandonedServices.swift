/// Takes down the services that a killed deploy left half written. Their supervisor would start them beside those of the
/// next deploy, and they would wait in vain for the missing copies, while everything else waits for them.
///
/// The caller holds `deploy.lock`. A starting generation with all its services takes over, or fails, by itself. Services
/// of generations that the registry does not know may serve, as after a boot, and stay.
func removeAbandonedServices(
    of app: ByteString, on target: SupervisionTarget, _ registry: Registry
) throws(Failure) {
    guard let label = registry.loadUnfinished() else { return }
    let state = AppState.reconciled(registry)
    let present = try supervisedCopies(app: app, on: target).filter { $0.label == label }
    let starting = state.app.starting
    let isPartial = starting?.label == label && present.count < starting?.copies ?? 0
    let abandoned = present.filter { isPartial || !state.needs(label, $0.copy) }
    let services = abandoned.map { Service(app: app, label: label, copy: $0.copy, command: [], workingDirectory: "") }
    try takeDown(services, on: target)
}
