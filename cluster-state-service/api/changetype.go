package api

import (
	"github.com/blox/blox/cluster-state-service/cache"
	"github.com/blox/blox/cluster-state-service/state"
)

// changeType is what a change means to a client: the entity appeared among those that it follows, changed, or left
// them. It is empty for a change of an entity that the client does not follow.
type changeType string

const (
	added    changeType = "ADDED"
	modified changeType = "MODIFIED"
	deleted  changeType = "DELETED"
)

// typePrefixes begin the lines of clients that request types. They replace the opening brace.
var typePrefixes = map[changeType][]byte{
	added: []byte(`{"type":"ADDED",`), modified: []byte(`{"type":"MODIFIED",`), deleted: []byte(`{"type":"DELETED",`),
}

// changeType compares the entity before and after the change with a filter, which is selective if it depends on more
// than the cluster. If the entity before is not known, it counts as one that the client follows: clients ignore the
// deletion of an entity that they do not hold. It is called for each change and stream, so it copies no filter.
func (k resource[T]) changeType(filter *state.Filter, selective bool, c cache.Change) changeType {
	if !filter.Cluster.Matches(c.Key) {
		return ""
	}
	before, after := !c.Created, !c.Deleted
	if selective {
		if s := k.cache.Snapshot(); s != nil && !filter.EC2InstanceID.IsEmpty() {
			onInstances := k.onInstances(s, *filter)
			filter = &onInstances
		}
		if previous, known := c.Previous.(*T); known {
			before = k.matches(filter, previous)
		}
		if entity, exists := c.Entity.(*T); exists {
			after = k.matches(filter, entity)
		}
	}
	switch {
	case after && before:
		return modified
	case after:
		return added
	case before:
		return deleted
	}
	return ""
}
