import { BlockList, isIP } from "node:net";

/** Networks that are nobody's business of a client: loopback, private, link-local, shared, test and multicast ones. */
const IPV4_NETWORKS: readonly (readonly [string, number])[] = [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.0.2.0", 24],
  ["192.88.99.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["198.51.100.0", 24],
  ["203.0.113.0", 24],
  ["224.0.0.0", 3],
];

/** The only IPv6 space that is public; what maps or tunnels IPv4 within it is taken out again. */
const IPV6_PUBLIC = ["2000::", 3] as const;
const IPV6_NETWORKS: readonly (readonly [string, number])[] = [
  ["2001::", 23],
  ["2001:db8::", 32],
  ["2002::", 16],
  ["3fff::", 20],
];

const refused = new BlockList();
for (const [network, bits] of IPV4_NETWORKS) refused.addSubnet(network, bits, "ipv4");
for (const [network, bits] of IPV6_NETWORKS) refused.addSubnet(network, bits, "ipv6");
const publicIpv6 = new BlockList();
publicIpv6.addSubnet(IPV6_PUBLIC[0], IPV6_PUBLIC[1], "ipv6");

/** Whether an IP address may be fetched from on a client's word. */
export function isPublicAddress(address: string): boolean {
  switch (isIP(address)) {
    case 4:
      return !refused.check(address, "ipv4");
    case 6:
      return publicIpv6.check(address, "ipv6") && !refused.check(address, "ipv6");
    default:
      return false;
  }
}
