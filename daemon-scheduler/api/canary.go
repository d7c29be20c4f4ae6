package api

import (
	"net/http"
	"strconv"

	"github.com/go-openapi/swag/conv"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

func readCanary(m *models.Canary) *environment.Canary {
	c := &environment.Canary{Percent: int(conv.Value(m.Percent)), Query: m.Query}
	for _, step := range m.Steps {
		c.Steps = append(c.Steps, environment.CanaryStep{
			Percent: int(conv.Value(step.Percent)), Count: int(conv.Value(step.Count)), Query: step.Query,
			PauseMinutes: intPointer(step.PauseMinutes),
		})
	}
	return c
}

func showCanary(c environment.Canary) *models.Canary {
	m := &models.Canary{Percent: nonZero(c.Percent), Query: c.Query}
	for _, step := range c.Steps {
		m.Steps = append(m.Steps, &models.CanaryStep{
			Percent: nonZero(step.Percent), Count: nonZero(step.Count), Query: step.Query,
			PauseMinutes: int64Pointer(step.PauseMinutes),
		})
	}
	return m
}

// showCanaryProgress returns nil unless the deployment waits for a promotion.
func showCanaryProgress(e environment.Environment, d environment.Deployment) *models.CanaryProgress {
	step, number, count, waits := e.CanaryStep(d)
	if !waits {
		return nil
	}
	return &models.CanaryProgress{
		Step: int64(number), Steps: int64(count), Instances: step.String(), PauseMinutes: int64Pointer(step.PauseMinutes),
		ReadySeconds: int64(d.CanaryProgress.ReadyFor.Seconds()), PromotesAt: timePointer(d.CanaryProgress.PromotesAt),
	}
}

// promoteDeployment promotes the present step of a canary, the step of the parameter step, or all.
func (h *handler) promoteDeployment(w http.ResponseWriter, r *http.Request) error {
	full, err := boolParameter(r, "full")
	if err != nil {
		return err
	}
	number, err := stepParameter(r)
	switch {
	case err != nil:
		return err
	case full && number > 0:
		return invalidParameter("step", r.URL.Query().Get("step"), "absent with full=true")
	}
	promote := environment.Environment.Promote
	if full {
		promote = environment.Environment.PromoteFully
	} else if number > 0 {
		promote = func(e environment.Environment, id string) (environment.Environment, error) {
			return e.PromoteStep(id, number)
		}
	}
	return h.changeDeployment(w, r, environment.EventDeploymentPromoted, "deployment promoted", promote)
}

// stepParameter reads the number of a canary's step; 0 if the parameter is missing.
func stepParameter(r *http.Request) (int, error) {
	if !r.URL.Query().Has("step") {
		return 0, nil
	}
	value := r.URL.Query().Get("step")
	number, err := strconv.Atoi(value)
	if err != nil || number < 1 {
		return 0, invalidParameter("step", value, "a whole number of 1 or more")
	}
	return number, nil
}
