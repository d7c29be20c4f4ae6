package clusterstate

import (
	"slices"
	"sync"

	"github.com/go-openapi/swag/conv"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/swagger/cluster-state-service/v1/models"
)

// instanceLists holds each cluster's instances as they were converted last. Instances change rarely, and every plan
// reads all of them. It is safe for concurrent use.
type instanceLists struct {
	mu        sync.Mutex
	byCluster map[string]instanceList // by ARN
}

// instanceList is immutable.
type instanceList struct {
	known     []*models.ContainerInstance // by ARN; the informer replaces an instance that changes
	converted []environment.Instance      // of known
}

func newInstanceLists() *instanceLists { return &instanceLists{byCluster: map[string]instanceList{}} }

// list returns the cluster's instances, given by ARN, as domain types. It converts those that have changed.
func (l *instanceLists) list(clusterARN string, known []*models.ContainerInstance) []environment.Instance {
	if l == nil {
		return instanceList{}.next(known).converted
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(known) == 0 {
		delete(l.byCluster, clusterARN)
		return nil
	}
	list := l.byCluster[clusterARN].next(known)
	l.byCluster[clusterARN] = list
	return list.converted
}

// next returns the list of the instances that are known now.
func (l instanceList) next(known []*models.ContainerInstance) instanceList {
	if slices.Equal(l.known, known) {
		return l
	}
	next := instanceList{known: known, converted: make([]environment.Instance, 0, len(known))}
	n := 0 // of the former list
	for _, i := range known {
		for n < len(l.known) && l.converted[n].ARN < conv.Value(i.Entity.ContainerInstanceARN) {
			n++
		}
		if n < len(l.known) && l.known[n] == i {
			next.converted = append(next.converted, l.converted[n])
		} else {
			next.converted = append(next.converted, convertInstance(i.Entity))
		}
	}
	return next
}
