package ecssim

import (
	"maps"
	"slices"
)

// sqsActions maps the simulated SQS actions to their handlers.
var sqsActions = map[string]actionHandler{
	"CreateQueue":        withoutLock((*Sim).createQueue),
	"GetQueueUrl":        withoutLock((*Sim).getQueueURL),
	"ListQueues":         withoutLock((*Sim).listQueues),
	"GetQueueAttributes": onQueue((*Sim).getQueueAttributes),
	"SetQueueAttributes": onQueue((*Sim).setQueueAttributes),
	"PurgeQueue":         onQueue((*Sim).purgeQueue),

	"SendMessage":                  onQueue((*Sim).sendMessage),
	"SendMessageBatch":             onQueue((*Sim).sendMessageBatch),
	"ReceiveMessage":               onQueue((*Sim).receiveMessage),
	"DeleteMessage":                onQueue((*Sim).deleteMessage),
	"DeleteMessageBatch":           onQueue((*Sim).deleteMessageBatch),
	"ChangeMessageVisibility":      onQueue((*Sim).changeMessageVisibility),
	"ChangeMessageVisibilityBatch": onQueue((*Sim).changeMessageVisibilityBatch),
}

// queueURL holds the queue of a request.
type queueURL struct {
	QueueURL string `json:"QueueUrl"`
}

func (in queueURL) url() string { return in.QueueURL }

type queueInput struct {
	queueURL
	QueueName      string            `json:"QueueName"`
	Attributes     map[string]string `json:"Attributes"`
	AttributeNames []string          `json:"AttributeNames"`
}

func (s *Sim) queueURL(r request, name string) string {
	return r.baseURL + "/" + s.cfg.Account + "/" + name
}

func (s *Sim) createQueue(r request, in queueInput) (any, error) {
	q, err := s.queues.create(in.QueueName, in.Attributes)
	if err != nil {
		return nil, err
	}
	return map[string]string{"QueueUrl": s.queueURL(r, q.name)}, nil
}

type queueOfInput struct {
	QueueName string `json:"QueueName"`
	Owner     string `json:"QueueOwnerAWSAccountId"`
}

func (s *Sim) getQueueURL(r request, in queueOfInput) (any, error) {
	if in.Owner != "" && in.Owner != s.cfg.Account {
		in.QueueName += "@" + in.Owner // no queue has such a name
	}
	q, err := s.queues.find(in.QueueName)
	if err != nil {
		return nil, err
	}
	return map[string]string{"QueueUrl": s.queueURL(r, q.name)}, nil
}

type listQueuesInput struct {
	QueueNamePrefix string `json:"QueueNamePrefix"`
	MaxResults      *int   `json:"MaxResults"`
	NextToken       string `json:"NextToken"`
}

// maxQueues is the largest page of ListQueues.
const maxQueues = 1000

func (s *Sim) listQueues(r request, in listQueuesInput) (any, error) {
	names := s.queues.names(in.QueueNamePrefix)
	at, _ := slices.BinarySearch(names, in.NextToken)
	names = names[at:]
	limit := maxQueues
	if in.MaxResults != nil {
		limit = *in.MaxResults
	}
	if limit < 1 || limit > maxQueues {
		return nil, sqsInvalid("MaxResults must be between 1 and %d.", maxQueues)
	}
	out := map[string]any{}
	if len(names) > limit {
		out["NextToken"] = names[limit]
		names = names[:limit]
	}
	urls := []string{}
	for _, name := range names {
		urls = append(urls, s.queueURL(r, name))
	}
	out["QueueUrls"] = urls
	return out, nil
}

func (s *Sim) getQueueAttributes(_ request, q *queue, in queueInput) (any, error) {
	all := q.attributes()
	wanted := map[string]string{}
	for _, name := range in.AttributeNames {
		if name == "All" {
			maps.Copy(wanted, all)
		} else if value, ok := all[name]; ok {
			wanted[name] = value
		}
	}
	return map[string]any{"Attributes": wanted}, nil
}

func (s *Sim) setQueueAttributes(_ request, q *queue, in queueInput) (any, error) {
	if err := s.queues.checkRedrive(in.Attributes); err != nil {
		return nil, err
	}
	return struct{}{}, q.set(in.Attributes)
}

func (s *Sim) purgeQueue(_ request, q *queue, _ queueInput) (any, error) {
	q.purge()
	return struct{}{}, nil
}
