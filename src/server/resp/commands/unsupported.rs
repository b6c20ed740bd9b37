//! The commands of Redis 7 that are not supported yet: they are told apart from unknown ones, and never
//! answer a wrong result.

use super::{Command, NO_KEYS, Run};
use crate::server::resp::errors::Failure;

const fn unsupported(name: &'static str) -> Command {
    let (flags, categories, since, summary) = ("", "", "", "");
    Command { name, arity: -1, flags, categories, keys: NO_KEYS, run: Run::Unsupported, since, summary }
}

/// What is answered to such a command.
pub fn failure(name: &str) -> Failure {
    Failure::new(format!("ERR command '{name}' is not supported yet"))
}

#[rustfmt::skip]
pub const COMMANDS: &[Command] = &[
    unsupported("acl"), unsupported("asking"), unsupported("bgrewriteaof"), unsupported("bgsave"),
    unsupported("bitcount"), unsupported("bitfield"), unsupported("bitfield_ro"), unsupported("bitop"),
    unsupported("bitpos"), unsupported("blmove"), unsupported("blmpop"), unsupported("blpop"), unsupported("brpop"),
    unsupported("brpoplpush"), unsupported("bzmpop"), unsupported("bzpopmax"), unsupported("bzpopmin"),
    unsupported("cluster"), unsupported("copy"), unsupported("debug"), unsupported("dump"), unsupported("eval"),
    unsupported("eval_ro"), unsupported("evalsha"), unsupported("evalsha_ro"), unsupported("failover"),
    unsupported("fcall"), unsupported("fcall_ro"), unsupported("function"), unsupported("geoadd"),
    unsupported("geodist"), unsupported("geohash"), unsupported("geopos"), unsupported("georadius"),
    unsupported("georadius_ro"), unsupported("georadiusbymember"), unsupported("georadiusbymember_ro"),
    unsupported("geosearch"), unsupported("geosearchstore"), unsupported("getbit"), unsupported("hdel"),
    unsupported("hexists"), unsupported("hget"), unsupported("hgetall"), unsupported("hincrby"),
    unsupported("hincrbyfloat"), unsupported("hkeys"), unsupported("hlen"), unsupported("hmget"),
    unsupported("hmset"), unsupported("hrandfield"), unsupported("hscan"), unsupported("hset"),
    unsupported("hsetnx"), unsupported("hstrlen"), unsupported("hvals"), unsupported("lastsave"),
    unsupported("latency"), unsupported("lcs"), unsupported("lindex"), unsupported("linsert"), unsupported("llen"),
    unsupported("lmove"), unsupported("lmpop"), unsupported("lolwut"), unsupported("lpop"), unsupported("lpos"),
    unsupported("lpush"), unsupported("lpushx"), unsupported("lrange"), unsupported("lrem"), unsupported("lset"),
    unsupported("ltrim"), unsupported("memory"), unsupported("migrate"), unsupported("module"),
    unsupported("monitor"), unsupported("move"), unsupported("object"), unsupported("pfadd"), unsupported("pfcount"),
    unsupported("pfdebug"), unsupported("pfmerge"), unsupported("pfselftest"), unsupported("psubscribe"),
    unsupported("psync"), unsupported("publish"), unsupported("pubsub"), unsupported("punsubscribe"),
    unsupported("readonly"), unsupported("readwrite"), unsupported("renamenx"), unsupported("replconf"),
    unsupported("replicaof"), unsupported("restore"), unsupported("restore-asking"), unsupported("role"),
    unsupported("rpop"), unsupported("rpoplpush"), unsupported("rpush"), unsupported("rpushx"), unsupported("sadd"),
    unsupported("save"), unsupported("scard"), unsupported("script"), unsupported("sdiff"),
    unsupported("sdiffstore"), unsupported("setbit"), unsupported("shutdown"), unsupported("sinter"),
    unsupported("sintercard"), unsupported("sinterstore"), unsupported("sismember"), unsupported("slaveof"),
    unsupported("smembers"), unsupported("smismember"), unsupported("smove"), unsupported("sort"),
    unsupported("sort_ro"), unsupported("spop"), unsupported("spublish"), unsupported("srandmember"),
    unsupported("srem"), unsupported("sscan"), unsupported("ssubscribe"), unsupported("subscribe"),
    unsupported("substr"), unsupported("sunion"), unsupported("sunionstore"), unsupported("sunsubscribe"),
    unsupported("swapdb"), unsupported("sync"), unsupported("unsubscribe"), unsupported("xack"), unsupported("xadd"),
    unsupported("xautoclaim"), unsupported("xclaim"), unsupported("xdel"), unsupported("xgroup"),
    unsupported("xinfo"), unsupported("xlen"), unsupported("xpending"), unsupported("xrange"), unsupported("xread"),
    unsupported("xreadgroup"), unsupported("xrevrange"), unsupported("xsetid"), unsupported("xtrim"),
    unsupported("zadd"), unsupported("zcard"), unsupported("zcount"), unsupported("zdiff"),
    unsupported("zdiffstore"), unsupported("zincrby"), unsupported("zinter"), unsupported("zintercard"),
    unsupported("zinterstore"), unsupported("zlexcount"), unsupported("zmpop"), unsupported("zmscore"),
    unsupported("zpopmax"), unsupported("zpopmin"), unsupported("zrandmember"), unsupported("zrange"),
    unsupported("zrangebylex"), unsupported("zrangebyscore"), unsupported("zrangestore"), unsupported("zrank"),
    unsupported("zrem"), unsupported("zremrangebylex"), unsupported("zremrangebyrank"),
    unsupported("zremrangebyscore"), unsupported("zrevrange"), unsupported("zrevrangebylex"),
    unsupported("zrevrangebyscore"), unsupported("zrevrank"), unsupported("zscan"), unsupported("zscore"),
    unsupported("zunion"), unsupported("zunionstore"),
];
