package ecssim

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"
)

// Health of container instances.
const (
	instanceOK       = "OK"
	instanceImpaired = "IMPAIRED"
)

type instanceHealth struct {
	OverallStatus string                `json:"overallStatus"`
	Details       []instanceHealthCheck `json:"details"`
}

type instanceHealthCheck struct {
	Type             string `json:"type"`
	Status           string `json:"status"`
	LastUpdated      epoch  `json:"lastUpdated"`
	LastStatusChange epoch  `json:"lastStatusChange"`
}

func (i *instance) shapeHealth() *instanceHealth {
	status, since := i.health, i.healthSince
	if status == "" {
		status, since = instanceOK, i.registeredAt
	}
	return &instanceHealth{status, []instanceHealthCheck{{"CONTAINER_RUNTIME", status, epoch(now()), epoch(since)}}}
}

// healthDetail is the detail of a health change event. It has no version.
type healthDetail struct {
	ClusterARN           string `json:"clusterArn"`
	ContainerInstanceARN string `json:"containerInstanceArn"`
	EC2InstanceID        string `json:"ec2InstanceId"`
	OverallStatus        string `json:"overallStatus"`
	UpdatedAt            iso    `json:"updatedAt"`
}

// SetInstanceHealth sets the health of the container runtime of an instance, given by ARN or id, to OK or IMPAIRED, and
// sends the event of the change.
func (s *Sim) SetInstanceHealth(arn, status string) error {
	if !slices.Contains([]string{instanceOK, instanceImpaired}, status) {
		return fmt.Errorf("status %.100q is not OK or IMPAIRED", status)
	}
	return s.onInstance(arn, func(i *instance) {
		if i.health == status {
			return
		}
		i.health, i.healthSince = status, time.Now()
		s.emit("ECS Container Instance Health Change", i.arn,
			healthDetail{i.cluster.arn, i.arn, i.ec2ID, status, iso(i.healthSince)})
	})
}

func (s *Sim) postInstanceHealth(q url.Values, _ *http.Request) (any, error) {
	instance, status := q.Get("instance"), q.Get("status")
	return map[string]string{"instance": instance, "status": status}, s.SetInstanceHealth(instance, status)
}
