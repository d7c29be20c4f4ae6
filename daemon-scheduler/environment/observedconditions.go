package environment

import "slices"

// ObservedConditions are the conditions of one environment that only the leader observes. Its JSON is the stored
// record, from which the other replicas know them.
type ObservedConditions struct {
	Environment string      `json:"-"` // its name; part of the record's key
	Incarnation int64       // of the environment: conditions of a deleted one do not hold for another of the same name
	Conditions  []Condition // by type, at most one of each

	StoredVersion int64 `json:"-"` // increases with each write of the record; 0: not stored
}

// Equal reports whether both hold the same conditions of the same environment.
func (o ObservedConditions) Equal(other ObservedConditions) bool {
	if len(o.Conditions) == 0 && len(other.Conditions) == 0 {
		return true
	}
	return o.Environment == other.Environment && o.Incarnation == other.Incarnation &&
		slices.EqualFunc(o.Conditions, other.Conditions, Condition.Equal)
}

// Equal reports whether both are the same. It compares times as instants: a stored time has another representation.
func (c Condition) Equal(other Condition) bool {
	return c.Type == other.Type && c.Status == other.Status && c.Reason == other.Reason && c.Message == other.Message &&
		c.LastTransitionTime.Equal(other.LastTransitionTime)
}
