package redisstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

// masters and shards are what a cluster's client has and a single server's has
// not.
type masters interface {
	ForEachMaster(ctx context.Context, fn func(ctx context.Context, client *redis.Client) error) error
}

type shards interface {
	ForEachShard(ctx context.Context, fn func(ctx context.Context, client *redis.Client) error) error
}

// checkServers asks every server for what must be true of it. A cluster's
// replicas are asked as well: each can become a master.
func checkServers(ctx context.Context, client redis.UniversalClient, allowDataLoss bool) error {
	cluster, ok := client.(shards)
	if !ok {
		return checkServer(ctx, client, "server", allowDataLoss, true)
	}
	var mu sync.Mutex
	var errs []error
	err := cluster.ForEachShard(ctx, func(ctx context.Context, node *redis.Client) error {
		err := checkServer(ctx, node, node.Options().Addr, allowDataLoss, false)
		mu.Lock()
		defer mu.Unlock()
		errs = append(errs, err)
		return nil
	})
	if err != nil {
		return outage("find the cluster's nodes", err)
	}
	return errors.Join(errs...)
}

func checkServer(ctx context.Context, server redis.Cmdable, name string, allowDataLoss, alone bool) error {
	settings, err := readSettings(ctx, server)
	if err != nil {
		return outage("read the configuration of "+name, err)
	}
	var errs []error
	if alone && settings["role"] == "slave" {
		errs = append(errs, fmt.Errorf("redisstore: %s is a replica", name))
	}
	if !allowDataLoss {
		errs = append(errs, settings.losses(name)...)
	}
	return errors.Join(errs...)
}

// settings are those that New looks at, by their names in redis.conf. One that
// the server does not tell is missing.
type settings map[string]string

var wanted = []struct{ name, value, because string }{
	{"maxmemory-policy", "noeviction", "it evicts records that are in use"},
	{"appendonly", "yes", "it forgets acknowledged writes in a crash"},
	{"appendfsync", "always", "it forgets the last acknowledged writes in a crash"},
	{"no-appendfsync-on-rewrite", "no", "it forgets the last acknowledged writes in a crash during a rewrite"},
}

func (s settings) losses(server string) []error {
	var errs []error
	for _, w := range wanted {
		if is, ok := s[w.name]; ok && is != w.value {
			errs = append(errs, fmt.Errorf("redisstore: %s has %s %s, must be %s: %s (see Options.AllowDataLoss)",
				server, w.name, is, w.value, w.because))
		}
	}
	return errs
}

// readSettings prefers CONFIG GET, which managed services forbid, and takes
// from INFO what that says.
func readSettings(ctx context.Context, server redis.Cmdable) (settings, error) {
	s := settings{}
	info, err := server.Info(ctx).Result()
	if err := unlessRefused(err); err != nil {
		return nil, err
	}
	for line := range strings.SplitSeq(info, "\r\n") {
		name, value, _ := strings.Cut(line, ":")
		switch name {
		case "role":
			s["role"] = value
		case "maxmemory_policy":
			s["maxmemory-policy"] = value
		case "aof_enabled":
			s["appendonly"] = map[string]string{"0": "no", "1": "yes"}[value]
		}
	}
	for _, pattern := range []string{"append*", "no-appendfsync-on-rewrite", "maxmemory-policy"} {
		config, err := server.ConfigGet(ctx, pattern).Result()
		if err := unlessRefused(err); err != nil {
			return nil, err
		}
		for name, value := range config {
			s[name] = value
		}
	}
	return s, nil
}

// unlessRefused tells a server that will not answer from one that cannot.
func unlessRefused(err error) error {
	if redis.HasErrorPrefix(err, "NOPERM") || redis.HasErrorPrefix(err, "unknown command") ||
		redis.HasErrorPrefix(err, "unknown subcommand") {
		return nil
	}
	return err
}
