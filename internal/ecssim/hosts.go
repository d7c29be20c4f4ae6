package ecssim

import (
	"fmt"
	"net/url"
	"strings"
	"time"
)

// AgentFlaps makes ECS agents lose their connection for a moment, as they do several times an hour by design.
type AgentFlaps struct {
	Every    Duration `json:"every,omitempty"`    // time between two rounds; 0 for none
	For      Duration `json:"for,omitempty"`      // how long an agent is disconnected
	Fraction float64  `json:"fraction,omitempty"` // of the connected agents in a round
}

func (f AgentFlaps) validate() error {
	if f.Every > 0 && (f.For <= 0 || f.For >= f.Every) {
		return fmt.Errorf(
			"agentFlaps: for %s must be above 0 and below every %s", time.Duration(f.For), time.Duration(f.Every),
		)
	}
	return nil
}

// scheduleFlaps schedules the next round. Rounds of earlier faults end.
func (s *Sim) scheduleFlaps() {
	s.flapsRun++
	run := s.flapsRun
	var round func()
	round = func() {
		if run != s.flapsRun {
			return
		}
		s.flapAgents()
		s.schedule(time.Duration(s.faults.AgentFlaps.Every), round)
	}
	if every := time.Duration(s.faults.AgentFlaps.Every); every > 0 {
		s.schedule(every, round)
	}
}

func (s *Sim) flapAgents() {
	flaps := s.faults.AgentFlaps
	for _, c := range s.sortedClusters() {
		for _, i := range c.instances {
			if i.status == statusInactive || !i.connected || !s.draws.hit("flap", c.name, flaps.Fraction) {
				continue
			}
			s.setConnected(i, false)
			i.flapping = true
			s.schedule(time.Duration(flaps.For), func() {
				if i.flapping && i.status != statusInactive {
					s.setConnected(i, true)
				}
			})
		}
	}
}

// LoseInstance makes the host of an instance, given by ARN or id, fail: its agent disconnects immediately. ECS notices
// after Config.LostHostDelay, unless the agent has reconnected: the instance becomes INACTIVE and its tasks STOPPED.
func (s *Sim) LoseInstance(arn string) error {
	return s.onInstance(arn, func(i *instance) {
		s.setConnected(i, false)
		since := i.disconnects
		s.schedule(s.cfg.LostHostDelay, func() {
			if i.status != statusInactive && !i.connected && i.disconnects == since {
				s.deregister(i, "Host EC2 (instance "+i.ec2ID+") terminated.")
			}
		})
	})
}

// externalCapability is the attribute of instances that are no EC2 instances.
const externalCapability = "ecs.capability.external"

// AddExternalInstances registers n instances of ECS Anywhere, as AddInstances does. Their tasks have the launch type
// EXTERNAL and no network mode awsvpc.
func (s *Sim) AddExternalInstances(cluster string, n int) []string {
	return s.addInstances(cluster, n, registration{external: true})
}

// isExternal reports whether an id is one of AWS Systems Manager, which external instances have.
func isExternal(instanceID string) bool { return strings.HasPrefix(instanceID, "mi-") }

func (s *Sim) registerControlled(q url.Values, count int) (arns []string, err error) {
	external := false
	if q.Has("external") {
		if external, err = parseBool(q, "external"); err != nil {
			return nil, err
		}
	}
	cluster := q.Get("cluster")
	if cluster == "" {
		cluster = "default"
	}
	if provider := q.Get("capacityProvider"); provider != "" {
		if arns = s.AddProviderInstances(cluster, provider, count); arns == nil {
			return nil, fmt.Errorf("cluster %.100q has no capacity provider %.100q with instances", cluster, provider)
		}
		return arns, nil
	}
	if arns = s.addInstances(cluster, count, registration{external: external}); arns == nil {
		return nil, fmt.Errorf("cluster %.100q is not a name or ARN of this account", cluster)
	}
	return arns, nil
}
