package ecssim

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Kinds of capacity providers.
const (
	providerGroup   = "EC2_AUTOSCALING"
	providerManaged = "MANAGED_INSTANCES"
	providerFargate = "FARGATE"
	providerSpot    = "FARGATE_SPOT"

	enabled  = "ENABLED"
	disabled = "DISABLED"
)

// capacityProvider is a capacity provider. It starts and ends no instances by itself: the control API does.
type capacityProvider struct {
	seq       int64
	name, arn string
	kind      string
	status    string   // ACTIVE or INACTIVE
	update    string   // the latest change, such as CREATE_COMPLETE
	cluster   *cluster // of Managed Instances; nil for others
	group     groupProvider
	managed   map[string]json.RawMessage // the configuration of Managed Instances, as given
	tags      []tag
}

func (p *capacityProvider) fargate() bool { return p.kind == providerFargate || p.kind == providerSpot }

// family returns the kind that a strategy can mix; "" for the provider's own.
func (p *capacityProvider) family() string {
	if p.fargate() {
		return providerFargate
	}
	return ""
}

var (
	providerName     = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,255}$`)
	reservedProvider = regexp.MustCompile(`^(?i:aws|ecs|fargate)`)
)

// addFargateProviders adds the providers that every account has.
func (s *Sim) addFargateProviders() {
	for _, kind := range []string{providerFargate, providerSpot} {
		s.providers = append(s.providers, &capacityProvider{
			seq: s.nextSeq(), name: kind, arn: s.providerARN(kind), kind: kind, status: statusActive,
		})
	}
}

func (s *Sim) providerARN(name string) string {
	return "arn:" + s.cfg.Partition + ":ecs:" + s.cfg.Region + ":" + s.cfg.Account + ":capacity-provider/" + name
}

// findProvider returns an ACTIVE provider by name or ARN, or nil. Names of Managed Instances' providers are unique in
// their cluster, c, others' in the account.
func (s *Sim) findProvider(c *cluster, ref string) *capacityProvider {
	for _, p := range s.providers {
		if p.status == statusActive && (p.cluster == nil || p.cluster == c) && (p.name == ref || p.arn == ref) {
			return p
		}
	}
	return nil
}

// provider returns a provider that is associated with the cluster, by name or ARN; nil if there is none.
func (c *cluster) provider(ref string) *capacityProvider {
	for _, p := range c.providers {
		if p.name == ref || p.arn == ref {
			return p
		}
	}
	return nil
}

// managed reports whether the instance is an Amazon ECS Managed Instance.
func (i *instance) managed() bool { return i.provider != nil && i.provider.kind == providerManaged }

func (i *instance) providerName() string {
	if i.provider == nil {
		return ""
	}
	return i.provider.name
}

// AddProviderInstances registers n instances of a capacity provider of a cluster, as AddInstances does. It returns nil
// if the cluster has no such provider, or it is one of Fargate.
func (s *Sim) AddProviderInstances(cluster, provider string, n int) []string {
	s.lock()
	c, err := s.cluster(cluster)
	var p *capacityProvider
	if err == nil {
		p = c.provider(provider)
	}
	s.unlock()
	if p == nil || p.fargate() {
		return nil
	}
	return s.addInstances(cluster, n, registration{provider: p})
}

// managedDrainLimit is how long managed draining waits for tasks. Source: "Safely stop Amazon ECS workloads running on
// EC2 instances" in the Amazon ECS Developer Guide.
const managedDrainLimit = 48 * time.Hour

// ScaleInInstance terminates an instance, given by ARN or id, as its Auto Scaling group or ECS does. With managed
// draining, and always for Managed Instances, it is DRAINING until its last task has stopped, for 48 hours at most.
// With managed termination protection, an instance with tasks of no daemons is not terminated: that is an error.
func (s *Sim) ScaleInInstance(arn string) (err error) {
	changeErr := s.onInstance(arn, func(i *instance) {
		p := i.provider
		if p == nil {
			err = fmt.Errorf("container instance %.300q has no capacity provider", arn)
			return
		}
		if p.group.TerminationProtection == enabled && i.hasWorkload() {
			err = fmt.Errorf("container instance %.300q has tasks and managed termination protection", arn)
			return
		}
		if !i.managed() && p.group.Draining == disabled {
			s.deregister(i, "Host EC2 (instance "+i.ec2ID+") terminated.")
			return
		}
		i.terminating = true
		s.setStatus(i, statusDraining)
		s.schedule(managedDrainLimit, func() { s.endDraining(i) })
		s.finishDraining(i)
	})
	if changeErr != nil {
		return changeErr
	}
	return err
}

// finishDraining terminates an instance with managed draining whose last task has stopped.
func (s *Sim) finishDraining(i *instance) {
	if i.terminating && len(i.tasks) == 0 {
		s.schedule(0, func() { s.endDraining(i) })
	}
}

func (s *Sim) endDraining(i *instance) {
	if i.terminating && i.status != statusInactive {
		s.deregister(i, "Host EC2 (instance "+i.ec2ID+") terminated.")
	}
}

// CreateProvider creates a capacity provider and associates it with a cluster: one of an Auto Scaling group with
// managed draining, or, if managed is true, one of Managed Instances.
func (s *Sim) CreateProvider(cluster, name string, managed bool) error {
	s.lock()
	defer s.unlock()
	c, err := s.ensureActiveCluster(cluster)
	if err != nil {
		return err
	}
	in := createProviderInput{Name: name}
	if managed {
		in.Cluster, in.Managed = c.name, map[string]json.RawMessage{
			"infrastructureRoleArn":  json.RawMessage(`"arn:aws:iam::123456789012:role/infrastructure"`),
			"instanceLaunchTemplate": json.RawMessage(`{}`),
		}
	} else {
		in.Group = &groupProvider{ARN: "arn:aws:autoscaling:" + s.cfg.Region + ":" + s.cfg.Account +
			":autoScalingGroup:0:autoScalingGroupName/" + name}
	}
	if _, err := s.createCapacityProvider(in); err != nil {
		return err
	}
	if p := s.findProvider(c, name); !slices.Contains(c.providers, p) {
		c.providers = append(c.providers, p)
	}
	return nil
}

func (s *Sim) postProvider(q url.Values, _ *http.Request) (any, error) {
	managed := false
	if q.Has("managed") {
		var err error
		if managed, err = parseBool(q, "managed"); err != nil {
			return nil, err
		}
	}
	cluster := q.Get("cluster")
	if cluster == "" {
		cluster = "default"
	}
	return map[string]string{"capacityProvider": q.Get("name")}, s.CreateProvider(cluster, q.Get("name"), managed)
}

// validProviderName reports whether ECS accepts the name of a new provider.
func validProviderName(name string) bool {
	return providerName.MatchString(name) && !reservedProvider.MatchString(strings.ToLower(name))
}
