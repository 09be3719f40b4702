// Calls a mock partner's SOAP services from their WSDL with node-soap, an independent client. Prints one JSON object.
// usage: soap_node.js MARRIAGE_WSDL_URL COUNTER_WSDL_URL
const soap = require('soap');

async function main(marriageUrl, counterUrl) {
  const seen = {};
  const person = { attributes: { kind: 'valid' }, idNo: '310101199003074514', name: '张三', phone: '1' };
  for (const [version, forceSoap12Headers] of [['Soap11', false], ['Soap12', true]]) {
    const client = await soap.createClientAsync(marriageUrl, { forceSoap12Headers });
    const port = client.MarriageService[version];
    const call = (operation, args) =>
      new Promise((resolve) =>
        port[operation](args, (error, answer) => resolve(error ? { fault: error.root && error.root.Envelope.Body.Fault } : answer)));
    seen[version] = {
      stub: await call('queryRecord', { person, office: [310101, 310104] }),
      bare: await call('checkCertificate', { $value: 'J310101-2020-000001' }),
      strict: await call('queryRecord', { person: { ...person, idNo: 'short' }, office: [310101] }),
    };
  }
  const counter = await soap.createClientAsync(counterUrl);
  seen.rpc = (await counter.takeAsync({ hall: 'east', count: 41 }))[0];
  console.log(JSON.stringify(seen));
}

main(...process.argv.slice(2)).catch((error) => {
  console.error(error.message);
  process.exit(1);
});
