// Package state defines the records of ECS container instances and tasks, their versions, keys, filters and errors.
// It does no I/O.
package state

import (
	"fmt"
	"strings"

	"github.com/blox/blox/internal/arn"
)

// Kind is the kind of an entity. Its values are part of v0.3's keys in etcd.
type Kind string

// The kinds of entities that Blox stores.
const (
	KindTask     Kind = "task"
	KindInstance Kind = "instance"
)

// Root is the prefix of all keys of Blox in etcd.
const Root = "ecs/"

// Key identifies a stored entity.
type Key struct {
	Kind    Kind
	Cluster string // the cluster's name
	ARN     string // the task's or container instance's ARN
}

// String returns the key in etcd: ecs/task/<cluster>/<ARN> or ecs/instance/<cluster>/<ARN>.
func (k Key) String() string { return k.Kind.Prefix() + k.Cluster + "/" + k.ARN }

// TombstoneKey returns the key in etcd that marks the entity as removed by the reconciler: ecs/deleted/<kind>/<ARN>.
func (k Key) TombstoneKey() string { return TombstonePrefix + string(k.Kind) + "/" + k.ARN }

// ClusterARN returns the ARN of the key's cluster; empty if the key's own ARN is malformed.
func (k Key) ClusterARN() string {
	a, err := arn.Parse(k.ARN)
	if err != nil {
		return ""
	}
	return a.ClusterARN(k.Cluster).String()
}

// Prefix returns the common prefix of the keys of all entities of the kind.
func (k Kind) Prefix() string { return Root + string(k) + "/" }

// resource returns the kind's name in ARNs.
func (k Kind) resource() arn.Kind {
	if k == KindInstance {
		return arn.ContainerInstance
	}
	return arn.Task
}

// ParseKey parses the result of Key.String. It does not check the ARN in the key.
func ParseKey(s string) (Key, error) {
	for _, kind := range []Kind{KindTask, KindInstance} {
		if rest, found := strings.CutPrefix(s, kind.Prefix()); found {
			cluster, entity, found := strings.Cut(rest, "/")
			if found && cluster != "" && entity != "" {
				return Key{Kind: kind, Cluster: cluster, ARN: entity}, nil
			}
		}
	}
	return Key{}, fmt.Errorf("key %.300q: not the key of a task or container instance", s)
}

// NewKey returns the key of an entity. Both ARNs must be of the same account, region and cluster. An error wraps
// arn.ErrMalformed.
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
		return Key{}, fmt.Errorf("%s %s: not in cluster %s: %w", kind, entityARN, clusterARN, arn.ErrMalformed)
	}
	return Key{Kind: kind, Cluster: cluster.Cluster, ARN: entityARN}, nil
}
