package ecssim

import (
	"cmp"
	"encoding/json"
	"strconv"

	"github.com/blox/blox/internal/arn"
)

type clusterShape struct {
	ClusterARN                        string          `json:"clusterArn"`
	ClusterName                       string          `json:"clusterName"`
	Status                            string          `json:"status"`
	RegisteredContainerInstancesCount int             `json:"registeredContainerInstancesCount"`
	RunningTasksCount                 int             `json:"runningTasksCount"`
	PendingTasksCount                 int             `json:"pendingTasksCount"`
	ActiveServicesCount               int             `json:"activeServicesCount"`
	Statistics                        []nameValue     `json:"statistics"`
	Tags                              []tag           `json:"tags"`
	Settings                          []nameValue     `json:"settings"`
	Configuration                     json.RawMessage `json:"configuration,omitempty"`
	CapacityProviders                 []string        `json:"capacityProviders"`
	DefaultCapacityProviderStrategy   []strategyItem  `json:"defaultCapacityProviderStrategy"`
}

func shapeCluster(c *cluster) clusterShape {
	shape := clusterShape{
		ClusterARN: c.arn, ClusterName: c.name, Status: statusActive, Statistics: []nameValue{}, Tags: copyOf(c.tags),
		Settings: copyOf(c.settings), Configuration: c.configuration, CapacityProviders: []string{},
		DefaultCapacityProviderStrategy: copyOf(c.defaultStrategy),
	}
	if !c.active {
		shape.Status = statusInactive
	}
	for _, p := range c.providers {
		shape.CapacityProviders = append(shape.CapacityProviders, p.name)
	}
	for _, i := range c.instances {
		if i.status != statusInactive {
			shape.RegisteredContainerInstancesCount++
		}
	}
	for _, v := range c.services {
		if v.status == statusActive {
			shape.ActiveServicesCount++
		}
	}
	for _, t := range c.tasks {
		switch {
		case t.lastStatus == statusRunning:
			shape.RunningTasksCount++
		case t.starting():
			shape.PendingTasksCount++
		}
	}
	return shape
}

type createClusterInput struct {
	ClusterName   string          `json:"clusterName"`
	Tags          []tag           `json:"tags"`
	Settings      []nameValue     `json:"settings"`
	Providers     []string        `json:"capacityProviders"`
	Configuration json.RawMessage `json:"configuration"`
	Strategy      []strategyItem  `json:"defaultCapacityProviderStrategy"`
}

func (s *Sim) createCluster(in createClusterInput) (any, error) {
	if err := validateTags(in.Tags); err != nil {
		return nil, err
	}
	providers, err := s.providersOf(nil, in.Providers)
	if err != nil {
		return nil, err
	}
	if err := (&cluster{providers: providers}).checkStrategy(in.Strategy); err != nil {
		return nil, err
	}
	c, err := s.ensureCluster(cmp.Or(in.ClusterName, "default"))
	if err != nil {
		return nil, err
	}
	if in.Configuration != nil {
		c.configuration = in.Configuration
	}
	if len(c.providers) == 0 {
		c.providers, c.defaultStrategy = providers, in.Strategy
	}
	c.tags, c.settings = firstNonEmpty(in.Tags, c.tags), firstNonEmpty(in.Settings, c.settings)
	return map[string]any{"cluster": shapeCluster(c)}, nil
}

// firstNonEmpty returns a unless it is empty, else b.
func firstNonEmpty[T any](a, b []T) []T {
	if len(a) > 0 {
		return a
	}
	return b
}

// clusterInput holds the cluster of a request.
type clusterInput struct {
	Cluster string `json:"cluster"`
}

func (in clusterInput) cluster() string { return in.Cluster }

func (s *Sim) deleteCluster(in clusterInput) (any, error) {
	if in.Cluster == "" {
		return nil, invalid("Cluster name should not be null or empty.")
	}
	c, err := s.cluster(in.Cluster)
	if err != nil {
		return nil, err
	}
	if err := c.deactivate(); err != nil {
		return nil, err
	}
	return map[string]any{"cluster": shapeCluster(c)}, nil
}

type describeClustersInput struct {
	Clusters []string `json:"clusters"`
	Include  []string `json:"include"`
}

// limit removes what a DescribeClusters does not include. The counts that STATISTICS adds are those of the simulator.
func (shape clusterShape) limit(include []string) clusterShape {
	if !includes(include, "TAGS") {
		shape.Tags = []tag{}
	}
	if !includes(include, "SETTINGS") {
		shape.Settings = []nameValue{}
	}
	if !includes(include, "CONFIGURATIONS") {
		shape.Configuration = nil
	}
	if includes(include, "STATISTICS") {
		shape.Statistics = []nameValue{
			{"runningEC2TasksCount", strconv.Itoa(shape.RunningTasksCount)},
			{"pendingEC2TasksCount", strconv.Itoa(shape.PendingTasksCount)},
			{"activeServiceCount", strconv.Itoa(shape.ActiveServicesCount)},
		}
	}
	return shape
}

// maxDescribe is the most resources of a Describe request.
const maxDescribe = 100

func (s *Sim) describeClusters(in describeClustersInput) (any, error) {
	if len(in.Clusters) > maxDescribe {
		return nil, invalid("Clusters cannot have more than %d elements.", maxDescribe)
	}
	if len(in.Clusters) == 0 {
		in.Clusters = []string{"default"}
	}
	found, failures := []clusterShape{}, []failure{}
	for _, ref := range in.Clusters {
		c, err := s.anyCluster(ref)
		switch {
		case err != nil:
			return nil, err
		case c != nil:
			found = append(found, shapeCluster(c).limit(in.Include))
		default:
			failures = append(failures, s.missingFailure(arn.Cluster, &cluster{}, ref))
		}
	}
	return map[string]any{"clusters": found, "failures": failures}, nil
}

func (s *Sim) listClusters(in pageInput) (any, error) {
	seq := func(c *cluster) int64 { return c.seq }
	return listPage("clusterArns", in, s.sortedClusters(), seq, func(c *cluster) (string, bool) { return c.arn, c.active })
}
