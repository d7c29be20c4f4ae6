package ecssim

import (
	"fmt"
	"net/http"
	"net/url"

	"github.com/blox/blox/internal/arn"
)

// CreateManagedDaemon creates a Managed Daemon: it has one task, of the group daemon:<name>, on each Managed Instance
// of the capacity providers, or of the cluster if there are none. Those tasks are the last to stop on a DRAINING
// instance. Its task definition is an ordinary one.
func (s *Sim) CreateManagedDaemon(cluster, name, definition string, providers ...string) error {
	s.lock()
	defer s.unlock()
	c, err := s.cluster(cluster)
	if err != nil {
		return err
	}
	d := s.definition(definition)
	if d == nil || d.status != statusActive || d.input.NetworkMode == "awsvpc" {
		return fmt.Errorf("%w: ACTIVE task definition %.300q of another network mode than awsvpc", errNotFound, definition)
	}
	if !arn.IsClusterName(name) { // the rule is the same
		return fmt.Errorf("name %.100q is not 1 to 255 letters, digits, hyphens and underscores", name)
	}
	v := &service{
		name: name, cluster: c, status: statusActive, strategy: strategyDaemon, controller: "ECS", daemon: true,
		createdAt: now(), propagateTags: "NONE",
	}
	for _, ref := range providers {
		p := c.provider(ref)
		if p == nil || p.kind != providerManaged {
			return fmt.Errorf("%w: capacity provider %.100q of Managed Instances", errNotFound, ref)
		}
		v.providers = append(v.providers, p)
	}
	v.deploy(d)
	c.daemons = append(c.daemons, v)
	s.scheduleServices(c)
	return nil
}

func (s *Sim) postDaemon(q url.Values, _ *http.Request) (any, error) {
	return map[string]string{"daemon": q.Get("name")},
		s.CreateManagedDaemon(q.Get("cluster"), q.Get("name"), q.Get("taskDefinition"))
}
