package ecssim

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/blox/blox/internal/arn"
)

// cluster is an ECS cluster. Its instances, tasks and services are in the order of their creation.
type cluster struct {
	seq       int64
	name, arn string
	active    bool
	instances []*instance
	tasks     []*task
	services  []*service
	daemons   []*service // Managed Daemons
	scheduled bool       // the service scheduler runs soon
	providers []*capacityProvider
	// defaultStrategy is that of a RunTask without launch type and strategy.
	defaultStrategy []strategyItem
	tokens          map[string]tokenUse // by RunTask's client token
	nextTokenSweep  int                 // number of tokens at which expired ones are removed
	tags            []tag
	settings        []nameValue
	configuration   json.RawMessage // kept and shown
}

// CreateCluster returns the ARN of the named cluster and creates the cluster if necessary. It returns "" if ECS rejects
// the name.
func (s *Sim) CreateCluster(name string) string {
	s.lock()
	defer s.unlock()
	c, err := s.ensureCluster(name)
	if err != nil {
		return ""
	}
	return c.arn
}

func (s *Sim) ensureCluster(name string) (*cluster, error) {
	if !arn.IsClusterName(name) {
		return nil, invalid("Invalid cluster name: it is 1 to 255 letters, digits, hyphens and underscores.")
	}
	c := s.clusters[name]
	if c == nil {
		c = &cluster{seq: s.nextSeq(), name: name, arn: s.arn(arn.Cluster, "", name)}
		s.clusters[name] = c
	}
	c.active = true
	return c, nil
}

// cluster returns an ACTIVE cluster by name or ARN. As in ECS, "" means "default".
func (s *Sim) cluster(ref string) (*cluster, error) {
	c, err := s.anyCluster(ref)
	if err != nil {
		return nil, err
	}
	if c == nil {
		return nil, &apiError{code: "ClusterNotFoundException", message: "Cluster not found."}
	}
	if !c.active {
		return nil, &apiError{code: "ClusterNotFoundException", message: "The referenced cluster was inactive."}
	}
	return c, nil
}

// anyCluster is like cluster but also returns INACTIVE clusters, and nil for an unknown name.
func (s *Sim) anyCluster(ref string) (*cluster, error) {
	if ref == "" {
		ref = "default"
	}
	name := ref
	if strings.HasPrefix(ref, "arn:") {
		a, err := arn.ParseKind(ref, arn.Cluster)
		if err != nil {
			return nil, invalid("Invalid cluster identifier: %v", err)
		}
		if a.ClusterARN(a.ID).String() != s.arn(arn.Cluster, "", a.ID) {
			return nil, invalid("Identifier is for %s/%s. Yours are %s/%s.", a.Account, a.Region, s.cfg.Account, s.cfg.Region)
		}
		name = a.ID
	}
	if !arn.IsClusterName(name) {
		return nil, invalid("Invalid identifier: %.300q", ref)
	}
	return s.clusters[name], nil
}

// sortedClusters returns all clusters in the order of their creation.
func (s *Sim) sortedClusters() []*cluster {
	all := make([]*cluster, 0, len(s.clusters))
	for _, c := range s.clusters {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b *cluster) int { return int(a.seq - b.seq) })
	return all
}

// deactivate makes an empty cluster INACTIVE.
func (c *cluster) deactivate() error {
	for _, i := range c.instances {
		if i.status != statusInactive {
			return &apiError{code: "ClusterContainsContainerInstancesException",
				message: "The Cluster cannot be deleted while Container Instances are active or draining."}
		}
	}
	for _, v := range c.services {
		if v.status != statusInactive {
			return &apiError{code: "ClusterContainsServicesException",
				message: "The Cluster cannot be deleted while Services are active."}
		}
	}
	for _, t := range c.tasks {
		if t.live() {
			return &apiError{
				code: "ClusterContainsTasksException", message: "The Cluster cannot be deleted while Tasks are active.",
			}
		}
	}
	c.active = false
	return nil
}

// SetAgentsConnected connects or disconnects the ECS agents of all instances of a cluster, given by name or ARN. It
// returns the number of instances that changed.
func (s *Sim) SetAgentsConnected(cluster string, connected bool) (changed int, err error) {
	s.lock()
	defer s.unlock()
	c, err := s.anyCluster(cluster)
	if err != nil || c == nil || cluster == "" {
		return 0, fmt.Errorf("%w: cluster %.300q", errNotFound, cluster)
	}
	for _, i := range c.instances {
		if i.status != statusInactive && i.connected != connected {
			s.setConnected(i, connected)
			changed++
		}
	}
	return changed, nil
}
