package status

import "github.com/blox/blox/daemon-scheduler/environment"

// Observed is what is shown of an environment beside its record.
type Observed struct {
	Counts     *Counts                 // nil if a cache is stale
	Conditions []environment.Condition // that hold

	version conditionsVersion
}

// conditionsVersion determines the conditions that do not depend on the environment's record alone.
type conditionsVersion struct {
	observed int64                  // by the leader
	overlap  *environment.Condition // nil without one
	// reconciled is false if cluster-state-service has never reconciled the cluster.
	reconciled bool
}

// Observe returns what is observed of an environment as it is stored.
func (s *Status) Observe(e environment.Environment) Observed {
	conditions, version := s.conditions(e)
	return Observed{Counts: s.Counts(e), Conditions: conditions, version: version}
}

// conditions returns an environment's conditions: those of its record, those of its cluster, its overlap with other
// environments, and those that the leader has observed, in the order of environment.ConditionTypes.
func (s *Status) conditions(
	e environment.Environment,
) (conditions []environment.Condition, version conditionsVersion) {
	conditions = e.Conditions()
	version.reconciled = s.Cluster.Reconciled(e.Cluster)
	if !version.reconciled {
		conditions = append(conditions, environment.Condition{
			Type: environment.ConditionClusterNotReconciled, Status: environment.ConditionTrue, Reason: "NotReconciled",
			Message: "cluster-state-service has never reconciled the cluster with ECS. Until it has, " +
				"Blox starts and stops nothing there.",
			LastTransitionTime: e.CreatedAt, // it has held for as long as there is the environment
		})
	}
	overlap := s.overlap(e)
	if overlap != nil {
		conditions = append(conditions, *overlap)
	}
	version.overlap = overlap
	observed := s.Cache.ObservedConditions(e.Name)
	if observed.Incarnation == e.Incarnation { // not of a deleted environment of the same name
		conditions = append(conditions, observed.Conditions...)
	}
	version.observed = observed.StoredVersion
	environment.SortConditions(conditions)
	return conditions, version
}
