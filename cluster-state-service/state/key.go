// Package state holds what Blox knows of ECS's container instances and tasks: the records, their versions, the
// filters on them and the errors about them. It does no I/O.
package state

import (
	"fmt"
	"strings"

	"github.com/blox/blox/internal/arn"
)

// Kind tells container instances and tasks apart; its values are v0.3's folders in etcd.
type Kind string

// The kinds of entity that Blox stores.
const (
	KindTask     Kind = "task"
	KindInstance Kind = "instance"
)

// Root is the prefix of everything that Blox keeps in etcd.
const Root = "ecs/"

// Key names one stored entity.
type Key struct {
	Kind    Kind
	Cluster string // the cluster's name
	ARN     string // the task's or container instance's ARN
}

// String is the key in etcd: ecs/task/<cluster>/<ARN> or ecs/instance/<cluster>/<ARN>.
func (k Key) String() string { return k.Kind.Prefix() + k.Cluster + "/" + k.ARN }

// TombstoneKey is the key in etcd that says that reconcile removed the entity: ecs/deleted/<kind>/<ARN>.
func (k Key) TombstoneKey() string { return Root + "deleted/" + string(k.Kind) + "/" + k.ARN }

// ClusterARN is the ARN of the key's cluster; empty when the key's own ARN is malformed.
func (k Key) ClusterARN() string {
	a, err := arn.Parse(k.ARN)
	if err != nil {
		return ""
	}
	return a.ClusterARN(k.Cluster).String()
}

// Prefix is what the keys of all entities of the kind begin with.
func (k Kind) Prefix() string { return Root + string(k) + "/" }

// resource is the kind's name in ARNs.
func (k Kind) resource() arn.Kind {
	if k == KindInstance {
		return arn.ContainerInstance
	}
	return arn.Task
}

// ParseKey reads what Key.String wrote. It judges the form only, not the ARN in it.
func ParseKey(s string) (Key, error) {
	for _, kind := range []Kind{KindTask, KindInstance} {
		if rest, found := strings.CutPrefix(s, kind.Prefix()); found {
			cluster, entity, found := strings.Cut(rest, "/")
			if found && cluster != "" && entity != "" {
				return Key{Kind: kind, Cluster: cluster, ARN: entity}, nil
			}
		}
	}
	return Key{}, fmt.Errorf("key %.300q: not that of a task or container instance", s)
}

// NewKey is the key of an entity; an error wraps arn.ErrMalformed. Both ARNs must name the same place.
func NewKey(kind Kind, clusterARN, entityARN string) (Key, error) {
	cluster, err := arn.ParseKind(clusterARN, arn.Cluster)
	if err != nil {
		return Key{}, fmt.Errorf("cluster: %w", err)
	}
	entity, err := arn.ParseKind(entityARN, kind.resource())
	if err != nil {
		return Key{}, fmt.Errorf("%s: %w", kind, err)
	}
	if !entity.SameRegion(cluster) || (entity.Cluster != "" && entity.Cluster != cluster.Cluster) {
		return Key{}, fmt.Errorf("%s %s is not of cluster %s: %w", kind, entityARN, clusterARN, arn.ErrMalformed)
	}
	return Key{Kind: kind, Cluster: cluster.Cluster, ARN: entityARN}, nil
}
