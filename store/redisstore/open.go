package redisstore

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/seed-e797c9ce/oauth/store"
)

// Options are the choices that a Store leaves to the program. The zero Options
// is right for most.
type Options struct {
	// Prefix begins every key, so that several stores and other programs can
	// share a server. Empty: "oauth:". It has at most 64 bytes and no braces.
	Prefix string

	// Partitions is over how many hash slots the records are spread, 1 to 1024.
	// All records of one partition are on one node. Zero: 64 for a
	// *redis.ClusterClient, 1 otherwise. The first New with a prefix decides
	// for good; from then on zero means that number, and any other is an error.
	// Set 64 on a single server that is to become a cluster one day.
	Partitions int

	// AllowDataLoss accepts servers that can forget what they have
	// acknowledged: without AOF, with an AOF that is not synced before each
	// answer, or with a policy that evicts records. After a crash of such a
	// server codes that were used, refresh tokens that were replaced and
	// authorizations that were revoked can be valid again. It is meant for
	// tests and development, and for a service that is durable by other means
	// and does not say so in its configuration.
	AllowDataLoss bool
}

const (
	defaultPrefix     = "oauth:"
	maxPrefix         = 64
	maxPartitions     = 1024
	clusterPartitions = 64
	format            = 1 // of keys and records, kept beside the number of partitions
)

// Store keeps records in Redis. It is safe for use by many goroutines at once.
// It does not own its client: the program closes that.
type Store struct {
	client     redis.UniversalClient
	prefix     string
	partitions int
}

var _ store.Store = (*Store)(nil)

// New returns a Store over client: a *redis.Client, with or without Sentinel,
// or a *redis.ClusterClient. It asks every server that it can reach for its
// configuration and returns an error that lists what is wrong: see the package
// comment and [Options.AllowDataLoss]. What a managed service does not tell is
// taken on trust.
//
// A *redis.Ring is refused, because it moves records to another server when one
// is gone, and so is a client that reads from replicas or from a cache of its
// own, because these lag.
func New(ctx context.Context, client redis.UniversalClient, opts Options) (*Store, error) {
	if opts.Prefix == "" {
		opts.Prefix = defaultPrefix
	}
	if err := errors.Join(checkOptions(opts), checkClient(client)); err != nil {
		return nil, err
	}
	if err := checkServers(ctx, client, opts.AllowDataLoss); err != nil {
		return nil, err
	}
	s := &Store{client: client, prefix: opts.Prefix}
	if err := s.agree(ctx, opts.Partitions); err != nil {
		return nil, err
	}
	return s, nil
}

func checkOptions(opts Options) error {
	var errs []error
	if len(opts.Prefix) > maxPrefix || strings.ContainsAny(opts.Prefix, "{}") {
		errs = append(errs, fmt.Errorf("redisstore: Prefix must have at most %d bytes and no braces", maxPrefix))
	}
	if opts.Partitions < 0 || opts.Partitions > maxPartitions {
		errs = append(errs, fmt.Errorf("redisstore: Partitions must be 1 to %d, or 0 for the default", maxPartitions))
	}
	return errors.Join(errs...)
}

func checkClient(client redis.UniversalClient) error {
	switch c := client.(type) {
	case nil:
		return errors.New("redisstore: the client is nil")
	case *redis.Ring:
		return errors.New("redisstore: a redis.Ring cannot be used: when a server is gone it looks for its records elsewhere")
	case *redis.ClusterClient:
		if o := c.Options(); o.ReadOnly || o.RouteByLatency || o.RouteRandomly {
			return errors.New("redisstore: the client reads from replicas, which lag: leave ReadOnly, RouteByLatency and RouteRandomly off")
		}
	case *redis.Client:
		if o := c.Options(); o.ClientSideCache != nil || o.ClientSideCacheConfig != nil {
			return errors.New("redisstore: the client has a cache, which lags: leave ClientSideCache and ClientSideCacheConfig out")
		}
	}
	return nil
}

// agree settles the number of partitions with all other stores of this prefix:
// the first one writes it, and every one reads what was written.
func (s *Store) agree(ctx context.Context, want int) error {
	first := want
	if first == 0 {
		first = 1
		if _, ok := s.client.(masters); ok {
			first = clusterPartitions
		}
	}
	key := s.prefix + "layout"
	if err := s.client.SetNX(ctx, key, fmt.Sprintf("%d:%d", format, first), 0).Err(); err != nil {
		return outage("read layout", err)
	}
	layout, err := s.client.Get(ctx, key).Result()
	if err != nil {
		return outage("read layout", err)
	}
	var is int
	if n, err := fmt.Sscanf(layout, fmt.Sprintf("%d:%%d", format), &is); n != 1 || err != nil || is < 1 || is > maxPartitions {
		return fmt.Errorf("redisstore: the records under prefix %q have another format", s.prefix)
	}
	if want != 0 && want != is {
		return fmt.Errorf("redisstore: Partitions is %d, but the records under prefix %q are in %d", want, s.prefix, is)
	}
	s.partitions = is
	return nil
}
