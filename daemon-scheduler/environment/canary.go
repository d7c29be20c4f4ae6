package environment

// AwaitsPromotion reports whether the current deployment is a canary that has not been promoted.
func (e Environment) AwaitsPromotion() bool {
	d, deployed := e.Current()
	return deployed && d.Status != Completed && !d.Promoted && e.HasCanary(d)
}

// RolloutState returns the rollout state of a deployment, with RolloutWaitingForPromotion for as long as its phase is
// DeploymentCanary.
func (e Environment) RolloutState(d Deployment) RolloutState {
	state := d.Rollout()
	if state != RolloutInProgress {
		return state
	}
	if phase, _ := e.DeploymentPhase(d); phase == DeploymentCanary {
		return RolloutWaitingForPromotion
	}
	return state
}

// SpecsInEffect returns the specs that instances may go by: the current one and, while a canary awaits promotion, that
// of the deployment that was completed before.
func (e Environment) SpecsInEffect() []Spec {
	specs := []Spec{e.CurrentSpec()}
	if previous, completed := e.NewestCompleted(); completed && e.AwaitsPromotion() {
		specs = append(specs, e.RevisionFor(previous).Spec)
	}
	return specs
}

// SpecsByDeployment returns the spec that instances with a task of each deployment go by. It is the current one; while
// a canary awaits promotion, tasks of other deployments go by the deployment that was completed before.
func (e Environment) SpecsByDeployment() map[string]Spec {
	specs := e.SpecsInEffect()
	byDeployment := make(map[string]Spec, len(e.Deployments))
	for id := range e.Deployments {
		byDeployment[id] = specs[len(specs)-1]
	}
	if current, deployed := e.Current(); deployed {
		byDeployment[current.ID] = specs[0]
	}
	return byDeployment
}
