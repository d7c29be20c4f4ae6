package ecssim

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// groupProvider holds the settings of an Auto Scaling group's provider.
type groupProvider struct {
	ARN                   string          `json:"autoScalingGroupArn,omitempty"`
	Scaling               *managedScaling `json:"managedScaling,omitempty"`
	TerminationProtection string          `json:"managedTerminationProtection,omitempty"`
	Draining              string          `json:"managedDraining,omitempty"`
}

// managedScaling is kept and shown: the simulator scales no groups.
type managedScaling struct {
	Status         string `json:"status,omitempty"`
	TargetCapacity *int   `json:"targetCapacity,omitempty"`
	MinStep        *int   `json:"minimumScalingStepSize,omitempty"`
	MaxStep        *int   `json:"maximumScalingStepSize,omitempty"`
	Warmup         *int   `json:"instanceWarmupPeriod,omitempty"`
}

// change returns the settings with those of an update that are given.
func (g groupProvider) change(in groupProvider) groupProvider {
	g.TerminationProtection = cmp.Or(in.TerminationProtection, g.TerminationProtection)
	g.Draining = cmp.Or(in.Draining, g.Draining)
	if in.Scaling != nil {
		g.Scaling = in.Scaling
	}
	return g
}

func (g groupProvider) validate() error {
	for _, value := range []string{g.TerminationProtection, g.Draining} {
		if value != "" && value != enabled && value != disabled {
			return invalid("%.50q is not ENABLED or DISABLED.", value)
		}
	}
	if scaling := g.Scaling; scaling != nil && scaling.TargetCapacity != nil {
		if target := *scaling.TargetCapacity; target < 1 || target > 100 {
			return clientError("The target capacity must be from 1 to 100.")
		}
	}
	if g.TerminationProtection == enabled && (g.Scaling == nil || g.Scaling.Status != enabled) {
		return invalid("Managed termination protection can be enabled only if managed scaling is.")
	}
	return nil
}

type createProviderInput struct {
	Name    string                     `json:"name"`
	Cluster string                     `json:"cluster"`
	Group   *groupProvider             `json:"autoScalingGroupProvider"`
	Managed map[string]json.RawMessage `json:"managedInstancesProvider"`
	Tags    []tag                      `json:"tags"`
}

func (s *Sim) createCapacityProvider(in createProviderInput) (any, error) {
	p := &capacityProvider{name: in.Name, arn: s.providerARN(in.Name), status: statusActive, update: "CREATE_COMPLETE",
		tags: in.Tags}
	if err := validateTags(in.Tags); err != nil {
		return nil, err
	}
	switch {
	case !validProviderName(in.Name):
		return nil, invalid("The specified capacity provider name is invalid. Up to 255 characters are allowed, including " +
			"letters, numbers, underscores, and hyphens. The name cannot be prefixed with aws, ecs, or fargate.")
	case (in.Group == nil) == (in.Managed == nil):
		return nil, invalid("Specify an Auto Scaling group provider or a Managed Instances provider, and not both.")
	case in.Group != nil:
		if in.Cluster != "" {
			return nil, invalid("A capacity provider of an Auto Scaling group has no cluster.")
		}
		p.kind = providerGroup
		p.group = groupProvider{ARN: in.Group.ARN, TerminationProtection: disabled, Draining: enabled}.change(*in.Group)
		if err := p.group.validate(); err != nil {
			return nil, err
		}
	default:
		c, err := s.cluster(in.Cluster)
		if err != nil {
			return nil, err
		}
		p.kind, p.cluster, p.managed = providerManaged, c, in.Managed
	}
	if s.findProvider(p.cluster, in.Name) != nil {
		return nil, clientError("The specified capacity provider already exists.")
	}
	p.seq = s.nextSeq()
	s.providers = append(s.providers, p)
	if p.cluster != nil { // it is available in its cluster at once
		p.cluster.providers = append(p.cluster.providers, p)
	}
	return map[string]any{"capacityProvider": shapeProvider(p, true)}, nil
}

type updateProviderInput struct {
	Name    string                     `json:"name"`
	Cluster string                     `json:"cluster"`
	Group   *groupProvider             `json:"autoScalingGroupProvider"`
	Managed map[string]json.RawMessage `json:"managedInstancesProvider"`
}

// providerOf returns the provider that an update or a deletion names.
func (s *Sim) providerOf(cluster, ref string) (p *capacityProvider, err error) {
	if cluster == "" {
		p = s.findProvider(nil, ref)
	} else {
		c, err := s.cluster(cluster)
		if err != nil {
			return nil, err
		}
		p = s.findProvider(c, ref)
	}
	switch {
	case p == nil:
		return nil, clientError("The specified capacity provider does not exist.")
	case p.fargate():
		return nil, clientError("The capacity providers of Fargate cannot be changed.")
	}
	return p, nil
}

func (s *Sim) updateCapacityProvider(in updateProviderInput) (any, error) {
	p, err := s.providerOf(in.Cluster, in.Name)
	if err != nil {
		return nil, err
	}
	switch {
	case p.kind == providerGroup && in.Group != nil && in.Managed == nil:
		changed := p.group.change(*in.Group)
		if err := changed.validate(); err != nil {
			return nil, err
		}
		p.group = changed
	case p.kind == providerManaged && in.Managed != nil && in.Group == nil:
		p.managed = maps.Clone(p.managed)
		maps.Copy(p.managed, in.Managed)
	default:
		return nil, invalid("The update must be for a provider of the kind %s.", p.kind)
	}
	p.update = "UPDATE_COMPLETE"
	return map[string]any{"capacityProvider": shapeProvider(p, true)}, nil
}

type deleteProviderInput struct {
	CapacityProvider string `json:"capacityProvider"`
	Cluster          string `json:"cluster"`
}

func (s *Sim) deleteCapacityProvider(in deleteProviderInput) (any, error) {
	p, err := s.providerOf(in.Cluster, in.CapacityProvider)
	if err != nil {
		return nil, err
	}
	for _, c := range s.clusters {
		if slices.Contains(c.providers, p) && (p.cluster != c || c.hasInstancesOf(p)) {
			return nil, clientError("The specified capacity provider is in use and cannot be removed.")
		}
	}
	if c := p.cluster; c != nil {
		c.providers = slices.DeleteFunc(c.providers, func(other *capacityProvider) bool { return p == other })
	}
	p.status, p.update = statusInactive, "DELETE_COMPLETE"
	s.providers = slices.DeleteFunc(s.providers, func(other *capacityProvider) bool { return p == other })
	return map[string]any{"capacityProvider": shapeProvider(p, true)}, nil
}

func (c *cluster) hasInstancesOf(p *capacityProvider) bool {
	return slices.ContainsFunc(c.instances, func(i *instance) bool {
		return i.provider == p && i.status != statusInactive
	})
}

type describeProvidersInput struct {
	pageInput
	CapacityProviders []string `json:"capacityProviders"`
	Cluster           string   `json:"cluster"`
	Include           []string `json:"include"`
}

// maxProviderPage is the largest and the default page of DescribeCapacityProviders.
const maxProviderPage = 10

func (s *Sim) describeCapacityProviders(in describeProvidersInput) (any, error) {
	var of *cluster
	if in.Cluster != "" {
		var err error
		if of, err = s.cluster(in.Cluster); err != nil {
			return nil, err
		}
	}
	withTags := includes(in.Include, "TAGS")
	failures, named := []failure{}, map[*capacityProvider]bool{}
	for _, ref := range in.CapacityProviders {
		if p := s.findProvider(of, ref); p != nil && (of == nil || slices.Contains(of.providers, p)) {
			named[p] = true
			continue
		}
		if !strings.HasPrefix(ref, "arn:") {
			ref = s.providerARN(ref)
		}
		failures = append(failures, failure{ARN: ref, Reason: "MISSING"})
	}
	if in.MaxResults == nil {
		in.MaxResults = new(maxProviderPage)
	}
	if *in.MaxResults > maxProviderPage || len(in.CapacityProviders) > maxDescribe {
		return nil, invalid("maxResults is at most %d, and %d capacity providers can be described.", maxProviderPage,
			maxDescribe)
	}
	seq := func(p *capacityProvider) int64 { return p.seq }
	page, err := listPage("capacityProviders", in.pageInput, s.providers, seq,
		func(p *capacityProvider) (providerShape, bool) {
			selected := named[p] || len(in.CapacityProviders) == 0 &&
				(of == nil && p.cluster == nil || of != nil && slices.Contains(of.providers, p))
			return shapeProvider(p, withTags), selected
		})
	if out, ok := page.(map[string]any); ok {
		out["failures"] = failures
	}
	return page, err
}

type putProvidersInput struct {
	clusterInput
	CapacityProviders []string       `json:"capacityProviders"`
	Strategy          []strategyItem `json:"defaultCapacityProviderStrategy"`
}

// putClusterCapacityProviders replaces the providers of a cluster and its default strategy.
func (s *Sim) putClusterCapacityProviders(c *cluster, in putProvidersInput) (any, error) {
	providers, err := s.providersOf(c, in.CapacityProviders)
	if err != nil {
		return nil, err
	}
	for _, p := range c.providers {
		if !slices.Contains(providers, p) && c.hasInstancesOf(p) {
			return nil, &apiError{code: "ResourceInUseException", message: "The capacity provider " + p.name + " is in use."}
		}
	}
	before := c.providers
	c.providers = providers
	if err := c.checkStrategy(in.Strategy); err != nil {
		c.providers = before
		return nil, err
	}
	c.defaultStrategy = in.Strategy
	return map[string]any{"cluster": shapeCluster(c)}, nil
}

func (s *Sim) providersOf(c *cluster, refs []string) (providers []*capacityProvider, err error) {
	for _, ref := range refs {
		p := s.findProvider(c, ref)
		if p == nil {
			return nil, invalid("The specified capacity provider %.300q was not found.", ref)
		}
		if !slices.Contains(providers, p) {
			providers = append(providers, p)
		}
	}
	return providers, nil
}

type providerShape struct {
	ARN          string                     `json:"capacityProviderArn"`
	Name         string                     `json:"name"`
	Cluster      string                     `json:"cluster,omitempty"`
	Status       string                     `json:"status"`
	Type         string                     `json:"type"`
	UpdateStatus string                     `json:"updateStatus,omitempty"`
	Group        *groupProvider             `json:"autoScalingGroupProvider,omitempty"`
	Managed      map[string]json.RawMessage `json:"managedInstancesProvider,omitempty"`
	Tags         []tag                      `json:"tags"`
}

func shapeProvider(p *capacityProvider, withTags bool) providerShape {
	shape := providerShape{ARN: p.arn, Name: p.name, Status: p.status, Type: p.kind, UpdateStatus: p.update,
		Managed: p.managed, Tags: []tag{}}
	if p.kind == providerGroup {
		shape.Group = &p.group
	}
	if p.cluster != nil {
		shape.Cluster = p.cluster.arn
	}
	if withTags {
		shape.Tags = copyOf(p.tags)
	}
	return shape
}
